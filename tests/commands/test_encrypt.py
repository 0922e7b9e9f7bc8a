import json
import re
import shlex
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_helpers import CANARY, MI, RS, files_in, last_line, only_error, picture, rows_of, run
from datasets import ClassLabel, Dataset, Features, Image, Value
from tqdm import tqdm

from hipmr_hf.cli import build_parser, main
from hipmr_hf.dataset.pieces import piece_path
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling, Sides
from hipmr_hf.encryption.keys import SecretKey
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


@pytest.mark.parametrize(("strategy", "kind"), [(RS, RandomShuffling), (MI, MixingUp)])
def test_tones_are_dealt_out_apart_and_the_key_draws_them_again(images, tmp_path, strategy, kind, capsys):
    key_file, output = tmp_path / "a.key", tmp_path / "out"
    assert run("keygen", key_file) == 0
    arguments = ("--output-dir", output, *strategy, "--shuffle-tones", "--key-file", key_file)
    assert run("encrypt", images, *arguments, "--irreversible") == 0
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
    assert "shuffle_tones=True lost pixels for good" in only_error(capsys)


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
    left = {path.name for path in tmp_path.iterdir()} - {"plain", "temporary", "cache"}
    assert left == {"out", "out.account.json"}
    assert CANARY not in (tmp_path / "out.account.json").read_text()  # nothing was left out


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
        (("--key-file", "missing.key"), "missing.key"),
    ],
)
def test_bad_options_are_told_before_any_work(options, message, images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *options) == 2
    assert message in only_error(capsys)
    assert not list(tmp_path.glob("*out*"))


def test_a_column_of_pictures_that_is_not_there_is_told(in_row_groups, tmp_path, capsys):
    command = ("encrypt", in_row_groups, "--output-dir", tmp_path / "out", *RS)
    assert run(*command, "--image-column", "picture") == 2
    assert "'picture' is not there" in only_error(capsys)


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

    def refuse(self, repo_id, **options):
        raise HFValidationError(repo_id)

    monkeypatch.setattr(HfApi, "dataset_info", refuse)
    assert run("encrypt", source, "--output-dir", tmp_path / "out") == 2
    assert "nor a dataset on the Hub that your token can read" in only_error(capsys)


def test_an_output_in_use_is_refused(images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", images) == 2
    assert "is not an empty folder" in only_error(capsys)


def test_a_picture_that_cannot_be_encrypted_stops_or_is_left_out(images, tmp_path, capsys, caplog):
    (images / "cat" / f"{CANARY}_2.png").write_bytes(b"no picture")
    command = ("encrypt", images, "--output-dir", tmp_path / "out", *RS)
    assert run(*command) == 2
    error = last_line(capsys)
    assert "row 1 (counted from 0) cannot be encrypted" in error and CANARY not in error
    assert not list(tmp_path.glob("*out*"))
    assert run(*command, "--on-error", "skip") == 0
    assert len(rows_of(tmp_path / "out")) == 5 and "Skipped 1 rows of train: 1." in caplog.text


@pytest.fixture
def in_row_groups(tmp_path) -> Path:
    """18 rows in row groups of 4, each of which is a part of the work."""
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": [picture(i) for i in range(18)], "label": list(range(18))}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet", batch_size=4)
    return tmp_path / "a.parquet"


def test_a_run_that_stopped_goes_on(in_row_groups, tmp_path, monkeypatch, caplog):
    command = ("encrypt", in_row_groups, "--output-dir", tmp_path / "out", *RS)

    import hipmr_hf.dataset.run as module

    encrypt, done = module.encrypt_part, []

    def interrupted(told, part):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(piece_path(Path(told.work), part))
        return encrypt(told, part)

    monkeypatch.setattr(module, "encrypt_part", interrupted)
    assert run(*command) == 130
    assert "the same command goes on" in caplog.text and not (tmp_path / "out").exists()
    finished = [path.read_bytes() for path in done]
    monkeypatch.setattr(module, "encrypt_part", encrypt)
    assert run(*command, "--interval", 2) == 2  # other settings do not mix with those rows
    assert [path.read_bytes() for path in done] == finished
    assert run(*command) == 0
    assert [row["label"] for row in rows_of(tmp_path / "out")] == list(range(18))
    assert "an earlier run has finished 12 of 18 rows" in caplog.text and not list(tmp_path.glob(".out*"))
    assert Encryption.from_pretrained(tmp_path / "out") == RandomShuffling(image_size=32, patch_size=8)


def test_pages_that_cannot_be_read_are_told_and_what_is_finished_stays(
    in_row_groups, tmp_path, capsys, caplog
):
    whole = in_row_groups.read_bytes()
    start = pq.read_metadata(in_row_groups).row_group(2).column(0).data_page_offset
    in_row_groups.write_bytes(whole[:start] + bytes(2000) + whole[start + 2000 :])
    capsys.readouterr()
    assert run("encrypt", in_row_groups, "--output-dir", tmp_path / "out", *RS) == 2
    assert "train, from row 8 (counted from 0) on, cannot be read (" in last_line(capsys)
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
    assert told.startswith("hipmr: error: SOURCE: there is no ") and "the Hub cannot be reached" in told
    assert told.count("\n") == 1


# What is said


def said(capsys) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_end_says_what_was_made_how_much_what_is_for_good_and_what_comes_next(images, tmp_path, capsys):
    out = tmp_path / "my out"
    assert run("encrypt", images, "--output-dir", out, *RS) == 0
    lines = said(capsys)[0].splitlines()
    size = sum(path.stat().st_size for path in out.rglob("*.*"))
    assert lines[0] == f"Encrypted dataset: {out}"
    assert lines[1] == "  6 files found: 6 written (train 6), 0 skipped"
    assert lines[2] == f"  3 files, {tqdm.format_sizeof(size, 'B')}"
    phases = ", ".join(rf"{name} \d+\.\d" for name in ("walk", "encrypt", "join", "card", "leaks"))
    assert re.fullmatch(rf"  \d+\.\d s: {phases}", lines[3])
    assert "For good: without a key you cannot bring the pictures back from it; keep your own." in lines
    assert lines[-1] == f"Next: hipmr audit {images} --card '{out}' --output-dir '{out}-audit'"
    typed = build_parser("audit").parse_args(shlex.split(lines[-1])[2:])
    assert (typed.source, typed.card) == ([str(images)], str(out))
    assert CANARY not in "".join(lines)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (RS, "resized and cropped to 32x32 pixels (smaller ones are enlarged) and becomes 32x32"),
        (
            ("--sub-patch-grid", "2"),
            "to 224x224 pixels (smaller ones are enlarged) and becomes 112x112: a",
        ),
        (
            (*RS, "--interval", "2", "--drop-ratio", ".5"),
            "takes 2 pixels of each patch, a share of 0.5",
        ),
        (MI, "keeps its size, cropped to whole patches of 8 pixels; a grid of 2 halves each side"),
    ],
)
def test_what_becomes_of_the_size_is_said_before_and_after(options, told, images, tmp_path, capsys):
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *options) == 0
    out, error = said(capsys)
    assert told in out and told in error


def test_what_is_left_to_an_attacker_is_said_before_the_work(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hipmr_hf.dataset.run.encrypt_part", lambda told, part: 1 / 0)
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS) == 1
    lines = said(capsys)[1].splitlines()
    assert lines[0] == "Found class folders: 1 split (train), 2 classes, 6 pictures."
    assert lines[2].startswith("A jigsaw solver puts back all of the neighbouring patches (chance .005)")
    assert "Less is left by --preset classification (" in lines[2]


def test_the_settings_that_leave_least_name_no_others(images, tmp_path, capsys):
    flags = ("--sub-patch-grid", "4", "--sub-patch-symmetries", "--patch-normalization")
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *flags) == 0
    out, _ = said(capsys)
    assert "Less is left" not in out


def test_a_remark_on_a_column_comes_once_for_all_splits(tmp_path, caplog):
    for split in ("train", "test"):
        for i in range(8):
            path = tmp_path / "plain" / split / ("cat", "dog")[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(i).save(path)
    assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / "out", *RS) == 0
    assert caplog.text.count("its 2 class names are published") == 1
    assert "Before you publish it: test, train, column 'label'" in caplog.text


@pytest.fixture
def with_damage(images) -> Path:
    (images / "cat" / f"{CANARY}_2.png").write_bytes(b"no picture")
    (images / f"{CANARY}.txt").touch()
    return images


def test_what_was_left_out_is_counted_and_named_in_a_private_file(with_damage, tmp_path, capsys):
    assert run("encrypt", with_damage, "--output-dir", tmp_path / "out", *RS, "--on-error", "skip") == 0
    lines, path = said(capsys)[0].splitlines(), tmp_path / "out.account.json"
    assert "  7 files found: 5 written (train 5), 2 skipped" in lines
    assert (
        "    1 unreadable" in lines
        and f"  each by name: {path} (yours alone; it is never published)" in lines
    )
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_text().count(CANARY) == 2


def test_a_log_gets_neither_names_nor_a_bar(with_damage, tmp_path, capsys, caplog):
    assert run("encrypt", with_damage, "--output-dir", tmp_path / "out", *RS, "--on-error", "skip") == 0
    out, error = said(capsys)
    assert CANARY not in out + error + caplog.text and "\r" not in out + error


def test_the_owners_terminal_gets_the_names_of_what_was_left_out(with_damage, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run("encrypt", with_damage, "--output-dir", tmp_path / "out", *RS, "--on-error", "skip") == 0
    out, error = said(capsys)
    assert f"Left out: cat/{CANARY}_2.png: the image cannot be read" in error
    assert "Encrypting: 100%" in error and "6/6" in error and CANARY not in out


def test_a_single_picture_becomes_a_dataset_of_one(images, tmp_path, capsys):
    file = images / "cat" / f"{CANARY}_0.png"
    assert run("encrypt", file, "--output-dir", tmp_path / "out", *RS) == 0
    assert len(rows_of(tmp_path / "out")) == 1 and "1 written (train 1)" in said(capsys)[0]


# Keys


def test_a_key_with_settings_that_lose_pixels_is_refused_unless_it_is_meant(images, tmp_path, capsys):
    run("keygen", tmp_path / "a.key")
    command = ("encrypt", images, "--output-dir", tmp_path / "out", *RS, "--interval", 2)
    command += ("--key-file", tmp_path / "a.key")
    capsys.readouterr()
    assert run(*command) == 2
    told = only_error(capsys)
    assert "interval=2 would lose pixels for good" in told and "(--irreversible)" in told
    assert not list(tmp_path.glob("*out*"))
    assert run(*command, "--irreversible") == 0
    assert "For good: interval=2 lost pixels, and key " in said(capsys)[0]


def test_the_end_names_the_key_file_to_keep(images, tmp_path, capsys):
    run("keygen", tmp_path / "a.key")
    key = ("--key-file", tmp_path / "a.key")
    assert run("encrypt", images, "--output-dir", tmp_path / "out", *RS, *key) == 0
    assert f"keep your own, and a copy of {tmp_path / 'a.key'}." in said(capsys)[0]


# Boxes


@pytest.mark.parametrize(("box", "named"), [([0.1, 0.1, 0.5, 0.5], "yolo"), ([12, 10, 30, 30], "xyxy")])
def test_boxes_that_cannot_be_cocos_are_one_line_that_names_the_flag(box, named, tmp_path, capsys):
    (tmp_path / "plain").mkdir()
    picture(0).save(tmp_path / "plain" / "a.png")
    row = {"file_name": "a.png", "objects": {"bbox": [box], "category": [0]}}
    (tmp_path / "plain" / "metadata.jsonl").write_text(json.dumps(row))
    assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / "out", *MI) == 2
    assert f"name their format with --box-format {named}" in last_line(capsys)
    assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / "o", *MI, "--box-format", named) == 0


def test_pictures_from_all_over_are_looked_at_before_a_run(tmp_path):
    from hipmr_hf.commands.size_warnings import PICTURES, _sampled
    from hipmr_hf.dataset.source import open_source

    (tmp_path / "plain").mkdir()
    for number in range(3 * PICTURES):
        PIL.Image.new("L", (32, 32), number).save(tmp_path / "plain" / f"{number:02}.png")
    (tmp_path / "plain" / "99.png").write_bytes(b"no picture")
    pictures = list(_sampled(MixingUp(patch_size=16), open_source([str(tmp_path / "plain")]), "image"))
    assert [int(picture[0, 0, 0]) for picture in pictures] == list(range(0, 3 * PICTURES, 3))


def test_letters_that_a_patch_does_not_hide_are_warned_of_where_they_can_be_read(tmp_path, capsys):
    from hipmr_hf.recognisers.base import WORD_LIBRARIES, is_there

    page = PIL.Image.new("RGB", (224, 224), "white")
    font = PIL.ImageFont.load_default(40)
    PIL.ImageDraw.Draw(page).text((6, 60), "HARVEST", fill="black", font=font)
    (tmp_path / "plain").mkdir()
    page.save(tmp_path / "plain" / "a.png")
    for patch in (8, 56):
        options = ("--strategy", "mi", "--patch-size", str(patch))
        assert run("encrypt", tmp_path / "plain", "--output-dir", tmp_path / f"out{patch}", *options) == 0
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Warning")]
        if patch == 8 and is_there(*WORD_LIBRARIES):
            assert len(told) == 1 and "letters up to" in told[0] and "HARVEST" not in told[0]
        else:
            assert told == []
