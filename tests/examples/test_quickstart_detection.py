import sys

from PIL import Image


def test_the_quick_start_runs_from_scenes_to_boxes(example, monkeypatch, tmp_path, capsys):
    arguments = ["--num_train", "16", "--num_test", "5", "--epochs", "1", "--output_dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["quickstart_detection.py", *arguments])
    example("quickstart_detection.py").main()
    printed = capsys.readouterr().out
    assert "on 5 scenes" in printed and "one more scene holds" in printed
    # four columns of a mixed-up and a plain scene, each five times as large
    assert Image.open(tmp_path / "detections.png").size == (4 * 480 + 3 * 6, 2 * 320 + 6)
    assert Image.open(tmp_path / "peyolos" / "detections.png").size == (4 * 480 + 3 * 6, 320)
    assert "  epoch 1 of 1: loss " in printed
    assert (tmp_path / "mixed" / "encryption_config.json").exists()
