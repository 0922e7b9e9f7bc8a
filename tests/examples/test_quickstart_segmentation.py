import sys

from PIL import Image


def test_the_quick_start_runs_from_scenes_to_segments_beside_plain_ones(
    example, monkeypatch, tmp_path, capsys
):
    arguments = ["--num_train", "16", "--num_test", "5", "--epochs", "1", "--output_dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["quickstart_segmentation.py", *arguments])
    example("quickstart_segmentation.py").main()
    printed = capsys.readouterr().out
    assert "on 5 scenes" in printed and "in one more scene it finds" in printed
    assert "    mixed up  mean " in printed and "    plain     mean " in printed
    # a line of text, and four rows of three scenes, each seven times as large; and a line for the colours
    assert Image.open(tmp_path / "segments.png").size == (3 * 336 + 2 * 6, 30 + 4 * (336 + 6) + 30)
    assert Image.open(tmp_path / "pevit_masks" / "segments.png").size[1] == 3 * 96 + 2 * 6
    assert not (tmp_path / "pevit_plain" / "segments.png").exists()
    assert (tmp_path / "mixed" / "encryption_config.json").exists()
