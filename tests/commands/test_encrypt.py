import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_helpers import CANARY, MI, RS, files_in, only_error, picture, rows_of, run
from datasets import ClassLabel, Dataset, Features, Image, Value

from hipmr_hf.cli import main
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling, Sides
from hipmr_hf.images.reading import read_image


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


def test_mixed_up_images_keep_their_shape_between_two_sides(tmp_path):
    (tmp_path / "plain").mkdir()
    for name, size in (("a", (60, 40)), ("b", (40, 200))):
        picture(0).resize(size).save(tmp_path / "plain" / f"{name}.png")
    sides = ("--shorter-side", 32, "--longer-side", 64)
    assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / "out", *MI, *sides) == 0
    assert Encryption.from_pretrained(tmp_path / "out") == MixingUp(image_size=Sides(32, 64), patch_size=8)
    sizes = [read_image(row["image"]["bytes"]).shape[:2] for row in rows_of(tmp_path / "out")]
    assert sizes == [(16, 24), (32, 4)]  # 32 x 48 and 64 x 12 in whole patches of 8, halved


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


def test_a_source_that_is_nowhere_while_the_hub_is_out_of_reach(tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert main(["encrypt", "nothere", "--output-dir", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "SOURCE: there is no folder or parquet file nothere here, and the Hub cannot be reached" in told
