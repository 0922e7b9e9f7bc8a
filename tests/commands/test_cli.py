import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, Value
from transformers import (
    AutoImageProcessor,
    AutoModelForObjectDetection,
    YolosConfig,
    YolosForObjectDetection,
)

from hipmr_hf.cli import main
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling, Sides
from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.images.reading import read_image
from hipmr_hf.models import PEYolosForObjectDetection, PEYolosImageProcessorPil

CANARY = "john_doe_canary"
RS = ("--image-size", "32", "--patch-size", "8")
MI = ("--strategy", "mi", "--patch-size", "8")


def picture(seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """A cache of its own, so that a test sees what a run leaves there."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "plain"
    for i in range(6):
        path = folder / ("cat", "dog")[i % 2] / f"{CANARY}_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def rows_of(folder: Path, split: str = "train") -> list[dict]:
    paths = sorted((folder / "data").glob(f"{split}-*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def only_error(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1, captured
    assert captured.err.startswith("hipmr: error: ")
    return captured.err


# The command itself


def test_help_is_quick_and_imports_nothing_heavy():
    start = time.process_time()
    code = (
        "import sys, time\nfrom hipmr_hf.cli import main\n"
        "assert main(['encrypt', '--help']) == 0\n"
        "heavy = {'numpy', 'torch', 'datasets', 'pyarrow', 'transformers', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert time.process_time() < 1\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--strategy {rs,mi}" in result.stdout and time.process_time() - start < 1


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["encrypt"], ["keygen"]])
def test_arguments_that_argparse_refuses_are_bad_input(arguments, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("hipmr ") or error.startswith("hipmr: ")
    assert error.count("\n") == 1 and "--help)" in error


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(options):
        raise ZeroDivisionError

    monkeypatch.setattr("hipmr_hf.commands.env.run", fail)
    with pytest.raises(ZeroDivisionError):
        run("env")


def test_env_prints_versions_and_no_path(capsys):
    assert run("env") == 0
    printed = capsys.readouterr().out
    assert f"datasets: {datasets.__version__}" in printed and str(Path.home()) not in printed


def test_a_key_is_private_and_never_overwritten(tmp_path, capsys):
    assert run("keygen", tmp_path / "a.key") == 0
    before = (tmp_path / "a.key").read_bytes()
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert before.split()[-1].decode() not in capsys.readouterr().out
    assert run("keygen", tmp_path / "a.key") == 2
    assert "never overwritten" in only_error(capsys) and (tmp_path / "a.key").read_bytes() == before


# encrypt and decrypt


def test_a_folder_of_images_becomes_a_dataset_without_names(images, tmp_path):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *MI, "--sub-patch-grid", 4) == 0
    mixing = MixingUp(patch_size=8, sub_patch_grid=4)
    assert Encryption.from_pretrained(tmp_path / "out") == mixing
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert loaded.features == Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    assert loaded["label"][:] == [0, 0, 0, 1, 1, 1]
    for row, seed in zip(loaded, (0, 2, 4, 1, 3, 5), strict=True):
        assert (np.asarray(row["image"]) == np.asarray(mixing(picture(seed)))).all()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.*"))
    assert CANARY.encode() not in everything + repr(rows_of(tmp_path / "out")).encode()


@pytest.mark.parametrize(("strategy", "kind"), [(RS, RandomShuffling), (MI, MixingUp)])
def test_tones_are_dealt_out_apart_and_the_key_draws_them_again(images, tmp_path, strategy, kind, capsys):
    key_file, output = tmp_path / "a.key", tmp_path / "out"
    assert run("keygen", key_file) == 0
    arguments = ("--output-dir", output, *strategy, "--shuffle-tones", "--key-file", key_file)
    assert run("encrypt", images, *arguments) == 0
    encryption = Encryption.from_pretrained(output)
    assert isinstance(encryption, kind) and encryption.shuffle_tones
    assert "| `shuffle_tones` | True |" in (output / "README.md").read_text()
    key = SecretKey.load(key_file)
    for row, seed in zip(rows_of(output), (0, 2, 4, 1, 3, 5), strict=True):
        plain = encryption.prepare(picture(seed))[None]
        expected = encryption.encrypt_batch(plain, key=key, nonces=[row["nonce"]], remember_nonces=False)
        assert (read_image(row["image"]["bytes"]) == expected[0]).all()
    capsys.readouterr()
    assert run("decrypt", output, "--key-file", key_file, "--output-dir", tmp_path / "back") == 2
    assert "cannot be decrypted" in only_error(capsys)


def test_tones_and_normalization_are_one_line(images, tmp_path, capsys):
    both = ("--shuffle-tones", "--patch-normalization")
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *both) == 2
    assert "shuffle_tones, patch_normalization: got True for both" in only_error(capsys)


def test_mixed_up_images_keep_their_shape_between_two_sides(tmp_path):
    (tmp_path / "plain").mkdir()
    for name, size in (("a", (60, 40)), ("b", (40, 200))):
        picture(0).resize(size).save(tmp_path / "plain" / f"{name}.png")
    sides = ("--shorter-side", 32, "--longer-side", 64)
    assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / "out", *MI, *sides) == 0
    assert Encryption.from_pretrained(tmp_path / "out") == MixingUp(image_size=Sides(32, 64), patch_size=8)
    sizes = [read_image(row["image"]["bytes"]).shape[:2] for row in rows_of(tmp_path / "out")]
    assert sizes == [(16, 24), (32, 4)]  # 32 x 48 and 64 x 12 in whole patches of 8, halved


def test_what_a_key_encrypted_it_decrypts(images, tmp_path):
    run("keygen", tmp_path / "a.key")
    key = ("--key-file", tmp_path / "a.key")
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *key, "--num-proc", 2) == 0
    assert run("decrypt", tmp_path / "out", "--output-dir", tmp_path / "back", *key) == 0
    back = rows_of(tmp_path / "back")
    assert [row["label"] for row in back] == [0, 0, 0, 1, 1, 1] and "nonce" not in back[0]
    for row, seed in zip(back, (0, 2, 4, 1, 3, 5), strict=True):
        assert (read_image(row["image"]["bytes"]) == np.asarray(picture(seed))).all()
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0


def test_parquet_files_of_other_programs_are_read(tmp_path):
    file = tmp_path / "cat.png"
    picture(0).save(file)
    for i in range(2):
        table = pa.table({"image": [file.read_bytes()] * 3, "label": [i] * 3, "name": [CANARY] * 3})
        pq.write_table(table, tmp_path / f"{i}.parquet")
    sources = (tmp_path / "0.parquet", tmp_path / "1.parquet")
    assert run("encrypt", *sources, "--output-dir", tmp_path / "out", *MI) == 0
    rows = rows_of(tmp_path / "out")
    assert [row["label"] for row in rows] == [0, 0, 0, 1, 1, 1] and set(rows[0]) == {"image", "label"}


def test_columns_are_kept_by_name(tmp_path):
    features = Features({"scan": Image(), "stain": Value("string")})
    Dataset.from_dict({"scan": [picture(0)], "stain": ["H&E"]}, features=features).to_parquet(
        tmp_path / "a.parquet"
    )
    options = ("--image-column", "scan", "--keep-columns", "stain", "--image-format", "jpeg")
    assert run("encrypt", tmp_path / "a.parquet", "--output-dir", tmp_path / "out", *RS, *options) == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["stain"] == "H&E" and row["scan"]["bytes"].startswith(b"\xff\xd8")


def test_rows_can_be_put_into_random_order(tmp_path):
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": [picture(0)] * 130, "label": list(range(130))}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    assert (
        run("encrypt", tmp_path / "a.parquet", "--output-dir", tmp_path / "out", *MI, "--shuffle-rows") == 0
    )
    labels = [row["label"] for row in rows_of(tmp_path / "out")]
    assert labels != list(range(130)) and sorted(labels) == list(range(130))


def test_no_plain_copy_and_no_name_outlives_a_run(images, tmp_path, private_cache, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS) == 0
    assert files_in(tmp_path / "temporary") == []
    assert all(name.endswith(".lock") for name in files_in(private_cache))
    assert {path.name for path in tmp_path.iterdir()} <= {"plain", "out", "temporary", "cache"}


def test_the_owners_side_never_imports_torch(images, tmp_path):
    code = (
        "import sys\nfrom hipmr_hf.cli import main\n"
        "main(['keygen', 'a.key'])\n"
        "options = ['--image-size', '32', '--patch-size', '8', '--key-file', 'a.key']\n"
        "assert main(['encrypt', 'plain', '--output-dir', 'out', *options]) == 0\n"
        "assert main(['audit', '--leaks', 'out']) == 0\n"
        "assert main(['decrypt', 'out', '--output-dir', 'back', '--key-file', 'a.key']) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


# Bad input: one line, and nothing half-written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--patch-size", "7"), "image_size"),
        (("--image-size", "1", "2", "3"), "--image-size: got"),
        (("--strategy", "mi", "--interval", "2"), "--interval: only --strategy rs has it"),
        (("--shorter-side", "16"), "--shorter-side 16: only --strategy mi keeps the shape"),
        (("--strategy", "mi", "--shorter-side", "16"), "--shorter-side 16: got --image-size as well"),
        (("--jpeg-quality", "0"), "jpeg_quality: got 0"),
        (("--num-proc", "0"), "num_proc: got 0"),
        (("--keep-columns", "patient"), "no column 'patient'"),
        (("--image-column", "picture"), "'picture' is not there"),
        (("--key-file", "missing.key"), "missing.key"),
    ],
)
def test_bad_options_are_told_before_any_work(options, message, images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *options) == 2
    assert message in only_error(capsys)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("--longer-side", "64"), "--longer-side 64: it only limits --shorter-side"),
        (("--shorter-side", "32", "--longer-side", "16"), "longer: got 16"),
        (("--shorter-side", "4"), "shorter: got 4"),
    ],
)
def test_sides_that_make_no_sense_are_told(sides, message, images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *MI, *sides) == 2
    assert message in only_error(capsys)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("source", ["missing", "no/such/folder"])
def test_a_source_that_is_not_there_is_told(source, tmp_path, capsys, monkeypatch):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    def refuse(self, repo_id):
        raise HFValidationError(repo_id)

    monkeypatch.setattr(HfApi, "dataset_info", refuse)
    assert run("encrypt", source, "--output-dir", tmp_path / "out") == 2
    assert "is neither a folder, nor a parquet file" in only_error(capsys)


def test_an_output_in_use_is_refused(images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", images) == 2
    assert "is not an empty folder" in only_error(capsys)


def test_a_picture_that_cannot_be_encrypted_stops_or_is_left_out(images, tmp_path, capsys, caplog):
    (images / "cat" / f"{CANARY}_2.png").write_bytes(b"no picture")
    command = ("encrypt", images, "--output-dir", tmp_path / "out", *RS)
    assert run(*command) == 2
    error = only_error(capsys)
    assert "row 1 (counted from 0) cannot be encrypted" in error and CANARY not in error
    assert not list(tmp_path.glob("*out*"))
    assert run(*command, "--on-error", "skip") == 0
    assert len(rows_of(tmp_path / "out")) == 5 and "Skipped 1 rows of train: 1." in caplog.text


def test_what_cannot_be_decrypted_says_so_before_any_work(images, tmp_path, capsys):
    run("keygen", tmp_path / "a.key")
    key = ("--key-file", tmp_path / "a.key")
    run("encrypt", images, "--output-dir", tmp_path / "one-time", *RS)
    run("encrypt", images, "--output-dir", tmp_path / "eroded", *RS, "--interval", 2, *key)
    for name, reason in (("one-time", "encrypted without a key"), ("eroded", "interval=2 lost pixels")):
        capsys.readouterr()
        assert run("decrypt", tmp_path / name, "--output-dir", tmp_path / "back", *key) == 2
        assert reason in only_error(capsys) and not list(tmp_path.glob("*back*"))


def test_a_wrong_key_is_told_before_any_work(images, tmp_path, capsys):
    for name in ("right.key", "wrong.key"):
        run("keygen", tmp_path / name)
    run("encrypt", images, "--output-dir", tmp_path / "out", *RS, "--key-file", tmp_path / "right.key")
    capsys.readouterr()
    command = ("decrypt", tmp_path / "out", "--output-dir", tmp_path / "back")
    assert run(*command, "--key-file", tmp_path / "wrong.key") == 2
    assert "but the dataset was encrypted with key" in only_error(capsys)
    assert not list(tmp_path.glob("*back*"))


# Going on after an interruption


def test_a_run_that_stopped_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("hipmr_hf.dataset.run._PIECE_ROWS", 4)
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": [picture(0)] * 18, "label": list(range(18))}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    command = ("encrypt", tmp_path / "a.parquet", "--output-dir", tmp_path / "out", *RS)

    import hipmr_hf.dataset.run as module

    encrypt, done = module._encrypt_piece, []

    def interrupted(piece):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(piece.path)
        return encrypt(piece)

    monkeypatch.setattr(module, "_encrypt_piece", interrupted)
    assert run(*command) == 130
    assert "the same command goes on" in caplog.text and not (tmp_path / "out").exists()
    finished = [path.read_bytes() for path in done]
    monkeypatch.setattr(module, "_encrypt_piece", encrypt)
    assert run(*command, "--interval", 2) == 2  # other settings do not mix with those rows
    assert [path.read_bytes() for path in done] == finished
    assert run(*command) == 0
    assert [row["label"] for row in rows_of(tmp_path / "out")] == list(range(18))
    assert "Going on after 12 rows" in caplog.text and not list(tmp_path.glob(".out*"))
    assert Encryption.from_pretrained(tmp_path / "out") == RandomShuffling(image_size=32, patch_size=8)


def test_pages_that_cannot_be_read_are_told_and_what_is_finished_stays(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr("hipmr_hf.dataset.run._PIECE_ROWS", 4)
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": [picture(i) for i in range(12)], "label": list(range(12))}
    path = tmp_path / "a.parquet"
    Dataset.from_dict(rows, features=features).to_parquet(path, batch_size=4)
    whole = path.read_bytes()
    start = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    path.write_bytes(whole[:start] + bytes(2000) + whole[start + 2000 :])
    capsys.readouterr()
    assert run("encrypt", path, "--output-dir", tmp_path / "out", *RS) == 2
    assert "train, from row 8 (counted from 0) on, cannot be read (" in only_error(capsys)
    assert "the same command goes on" in caplog.text and not (tmp_path / "out").exists()


def test_jpeg_that_smears_is_warned_of_once(images, tmp_path, caplog):
    command = ("encrypt", images, "--output-dir", tmp_path / "out", *RS, "--interval", 2)
    assert run(*command, "--image-format", "jpeg") == 0
    assert caplog.text.count("cross the borders of encrypted patches") == 1


# convert; tests/models/test_convert_transformers.py has the classifier's


def published_detector() -> dict[str, torch.Tensor]:
    """Under the published program's names, as few tensors as tell a detector for 2 x 3 patches."""
    shapes = {"det_token": (1, 3, 8), "pos_embed": (1, 1 + 6 + 3, 8), "cls_token": (1, 1, 8)}
    shapes |= {"patch_embed.proj_siat.weight": (8, 3, 4, 4), "blocks.0.attn.qkv.weight": (24, 8)}
    shapes |= {"blocks.0.mlp.fc1.weight": (32, 8)}
    state_dict = {f"backbone.{name}": torch.ones(shape) for name, shape in shapes.items()}
    return state_dict | {"class_embed.layers.2.bias": torch.ones(6), "mask": torch.ones(1)}


def test_a_published_detector_is_converted(tmp_path, capsys):
    torch.save({"model": published_detector()}, tmp_path / "detector.pth")
    command = ("convert", tmp_path / "detector.pth", "--architecture", "peyolos", "--num-heads", 2)
    assert run(*command, "--image-size", 8, 12, "--output-dir", tmp_path / "out") == 0
    assert "taken: 7\ndropped: 1\n    mask\nnew: " in capsys.readouterr().out
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert type(model) is PEYolosForObjectDetection
    assert (model.config.position_grid, model.config.num_labels) == ((2, 3), 5)
    assert torch.equal(model.peyolos.embeddings.detection_tokens, torch.ones(1, 3, 8))
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    assert type(processor) is PEYolosImageProcessorPil and processor.patch_size == 4
    assert list(processor.image_mean) == [0.485, 0.456, 0.406]


def test_a_yolos_becomes_a_detector_with_its_heads(tmp_path, capsys):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = YolosConfig(**sizes, image_size=[32, 48], patch_size=16, num_detection_tokens=5, num_labels=3)
    yolos = YolosForObjectDetection(config)
    yolos.save_pretrained(tmp_path / "yolos")
    command = ("convert", tmp_path / "yolos", "--architecture", "peyolos", "--output-dir", tmp_path / "out")
    assert run(*command, "--image-size", 16, 24) == 0
    assert "new: 4\n    peyolos.embeddings.patch_embeddings." in capsys.readouterr().out
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert type(model) is PEYolosForObjectDetection and model.config.position_grid == (2, 3)
    for ours, theirs in zip(
        model.bbox_predictor.parameters(), yolos.bbox_predictor.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-heads", "2"), "--image-size: got none, but a detector's position grid needs"),
        (("--image-size", "8", "12"), "--num-heads: a state dict cannot tell it, got None"),
        (("--num-heads", "2", "--image-size", "8", "16"), "`image_size` must have 6 patches of 4 pixels"),
        (("--num-heads", "3", "--image-size", "8", "12"), "`hidden_size` must be a multiple"),
        (
            ("--position-encoding", "none"),
            "--position-encoding: got none, but a detector always has positions",
        ),
    ],
)
def test_what_a_published_detector_lacks_is_told(options, message, tmp_path, capsys):
    torch.save(published_detector(), tmp_path / "detector.pth")
    command = ("convert", tmp_path / "detector.pth", "--architecture", "peyolos", *options)
    assert run(*command, "--output-dir", tmp_path / "out") == 2
    assert message in only_error(capsys)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("architecture", "options", "flag"),
    [
        ("pevit", ("--image-size", "16"), "--image-size"),
        ("peyolos", ("--image-size", "16", "24", "--num-heads", "2"), "--num-heads"),
    ],
)
def test_what_the_config_of_a_checkpoint_tells_is_refused(architecture, options, flag, tmp_path, capsys):
    command = ("convert", "a/checkpoint", "--architecture", architecture, *options)
    assert run(*command, "--output-dir", tmp_path / "out") == 2
    assert f"{flag}: a checkpoint of transformers tells it in its config" in only_error(capsys)


def test_a_source_that_is_nowhere_while_the_hub_is_out_of_reach(tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert main(["encrypt", "nothere", "--output-dir", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "SOURCE: there is no folder or parquet file nothere here, and the Hub cannot be reached" in told
