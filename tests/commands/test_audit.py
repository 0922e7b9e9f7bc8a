"""`hipmr audit`, as a data owner types it."""

import importlib.util
import json
import re
import time
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pytest

from hipmr_hf.cli import main
from hipmr_hf.encryption import RandomShuffling

CANARY = "john_doe_canary"
SETTINGS = ("--image-size", 84, "--patch-size", 28)
SMALL = ("--num-images", 2)


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of eight crops of photographs in two classes, with names that must not come out."""
    from sklearn.datasets import load_sample_image

    for i in range(8):
        photo = load_sample_image(("china.jpg", "flower.jpg")[i % 2])
        path = tmp_path / "plain" / ("cat", "dog")[i % 2] / f"{CANARY}_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(photo[20 * i : 20 * i + 168, 40 * i : 40 * i + 168]).save(path)
    return tmp_path / "plain"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def report_in(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def only_error(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1, captured
    assert captured.err.startswith("hipmr: error: ")
    return captured.err


def test_a_folder_of_photographs_is_audited_without_a_name(images, tmp_path, capsys):
    assert run("audit", images, "--output-dir", tmp_path / "out", *SETTINGS, *SMALL) == 0

    printed = capsys.readouterr().out
    assert "RS, 84x84, patch 28: grade F (A to F; F: the picture is back)" in printed
    assert "Attacking 2 of 8 pictures, drawn at random (seed 0); they are looked for among 8." in printed
    assert "To leave less: --preset classification" in printed and "report.html" in printed
    lines = printed.splitlines()
    assert "Largest leak:" in lines[2] and "100%" in lines[2], lines
    assert any("inding the photograph among candidates: 100%" in line for line in lines)
    assert "No attacker was trained, and those find more: --effort full." in printed
    report = report_in(tmp_path / "out")
    assert report["valid"] and report["sample"]["attacked"] == 2 and report["sample"]["labels"] == 2
    assert {"look", "jigsaw", "same_picture", "same_subject"} <= {
        record["attack"] for record in report["settings"][0]["attackers"]
    }
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        assert CANARY.encode() not in content and str(tmp_path).encode() not in content, path.name
        assert b"cat" not in re.findall(rb"\bcat\b|\bdog\b", content), path.name


def test_settings_come_from_files_and_the_card_of_a_dataset(images, tmp_path, capsys):
    encrypted = tmp_path / "encrypted"
    assert run("encrypt", images, "--output-dir", encrypted, *SETTINGS) == 0
    card = encrypted / "README.md"
    card.write_text(card.read_text() + "\nMy own words.\n")

    assert run("audit", images, "--output-dir", tmp_path / "a", "--card", encrypted, *SMALL) == 0
    assert run("audit", images, "--output-dir", tmp_path / "b", "--card", encrypted, *SMALL) == 0

    text = card.read_text()
    assert text.count("## Attacks tried on it") == 1 and text.endswith("My own words.\n")
    assert text.index("**Grade F**") < text.index("| a jigsaw solver") < text.index("## What this does not")
    assert "adding up" not in text and str(tmp_path) not in text
    assert text.count(" Not looked for: ") == 1 and "scenes (no backbone was named" in text
    settings = ("--settings", encrypted / "encryption_config.json", "--settings", encrypted)
    assert run("audit", images, "--output-dir", tmp_path / "c", *settings, *SMALL) == 0
    names = [audit["name"] for audit in report_in(tmp_path / "c")["settings"]]
    assert names == ["RS, 84x84, patch 28"] * 2


def test_an_encrypted_dataset_is_attacked_and_nothing_is_measured(images, tmp_path, capsys):
    encrypted = tmp_path / "encrypted"
    assert run("encrypt", images, "--output-dir", encrypted, "--strategy", "mi") == 0
    capsys.readouterr()

    assert run("audit", encrypted, "--output-dir", tmp_path / "out", *SMALL) == 0

    printed = capsys.readouterr().out
    assert "nothing can be measured without the plain images" in printed
    assert "an inversion" in printed or "inversion under a smoothness prior: 2 pictures" in printed
    assert "What is known of such settings:" in printed and "To leave less: " in printed
    report = report_in(tmp_path / "out")
    assert not report["measured"] and report["settings"][0]["attackers"][0]["scores"] == {}
    assert "Nothing is measured here" in (tmp_path / "out" / "report.html").read_text()


def test_images_that_no_solver_can_solve_make_the_exit_code_tell(tmp_path, capsys):
    for i in range(3):
        (tmp_path / "flat").mkdir(exist_ok=True)
        PIL.Image.new("RGB", (96, 96), (80 * i, 9, 9)).save(tmp_path / "flat" / f"{i}.png")

    assert run("audit", tmp_path / "flat", "--output-dir", tmp_path / "out", *SETTINGS, *SMALL) == 3

    assert "INVALID" in capsys.readouterr().out
    assert "This audit is invalid" in (tmp_path / "out" / "report.md").read_text()


def test_pictures_that_cannot_be_read_are_left_out_and_counted(images, tmp_path, capsys):
    (images / "cat" / "broken.png").write_bytes(b"no picture")
    assert run("audit", images, "--output-dir", tmp_path / "out", *SETTINGS, *SMALL) == 0
    assert capsys.readouterr().out.startswith("Left out, because they cannot be read: 1 of the sampled")


def test_a_class_of_one_name_is_a_column_like_any_other(tmp_path):
    features = datasets.Features({"scan": datasets.Image(), "patient": datasets.Value("string")})
    from sklearn.datasets import load_sample_image

    photo = load_sample_image("china.jpg")
    scans = [PIL.Image.fromarray(photo[60 * i : 60 * i + 168, :168]) for i in range(4)]
    rows = {"scan": scans * 2, "patient": [CANARY, "jane", "joe", "jim"] * 2}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")

    columns = ("--image-column", "scan", "--label-column", "patient")
    assert (
        run("audit", tmp_path / "a.parquet", "--output-dir", tmp_path / "o", *SETTINGS, *SMALL, *columns) == 0
    )

    report = report_in(tmp_path / "o")
    assert report["sample"]["labels"] == 4 and CANARY not in json.dumps(report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--output-dir: got none"),
        (("--output-dir", "{new}", "--num-images", 0), "num_images: got 0"),
        (("--output-dir", "{new}", "--sweep", "--interval", 2), "settings come from one place"),
        (("--output-dir", "{new}", "--settings", "{new}"), "encryption_config.json"),
        (("--output-dir", "{new}", "--image-size", 100), "image_size"),
        (("--output-dir", "{new}", "--label-column", "patient"), "--label-column"),
        (("--output-dir", "{new}", "--backbone", "{plain}"), "backbone: there is no config.json in"),
        (("--output-dir", "{plain}"), "not an empty folder"),
        (("--output-dir", "{new}", "--card", "{plain}"), "card: there is no encryption_config.json"),
    ],
)
def test_bad_input_is_one_line(images, tmp_path, capsys, arguments, message):
    places = {"{new}": tmp_path / "new", "{plain}": images}
    assert run("audit", images, *(places.get(argument, argument) for argument in arguments)) == 2
    assert message in only_error(capsys)
    assert not (tmp_path / "new").exists()


def test_a_source_that_is_nowhere_is_told_at_once(tmp_path, monkeypatch, capsys):
    """The Hub's client waits half a minute for a file of a dataset, and prints every attempt."""
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()

    assert run("audit", "nothere", "--output-dir", tmp_path / "out") == 2

    assert "there is no nothere here" in only_error(capsys)
    assert time.monotonic() - started < 10


def test_an_encrypted_dataset_takes_no_settings(tmp_path, capsys):
    RandomShuffling(image_size=64).save_pretrained(tmp_path / "encrypted")
    assert run("audit", tmp_path / "encrypted", "--output-dir", tmp_path / "out", "--sweep") == 2
    assert "SOURCE is encrypted" in only_error(capsys)


def test_the_search_for_leaks_says_where_it_went(tmp_path, capsys):
    assert run("audit", tmp_path, "--leaks", "--key-file", "a.key", "--repo-type", "model") == 2
    assert "hipmr leaks PATH_OR_REPO" in only_error(capsys)


def test_without_the_extra_nothing_is_begun(images, tmp_path, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    missing = lambda name, *more: None if name == "numba" else find_spec(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", missing)

    assert run("audit", images, "--output-dir", tmp_path / "out") == 2

    assert 'pip install "hipmr-hf[audit]"' in only_error(capsys) and not (tmp_path / "out").exists()


def test_noise_is_no_photograph(tmp_path):
    """A source whose pictures hold nothing to solve is not mistaken for a well-protected one."""
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        (tmp_path / "noise").mkdir(exist_ok=True)
        PIL.Image.fromarray(pixels).save(tmp_path / "noise" / f"{i}.png")
    assert run("audit", tmp_path / "noise", "--output-dir", tmp_path / "out", *SETTINGS, *SMALL) == 3


def test_the_column_of_pictures_is_named_where_it_is_another(images, tmp_path, capsys):
    rows = {"scan": [PIL.Image.new("RGB", (8, 8))]}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "a.parquet")
    capsys.readouterr()
    assert run("audit", tmp_path / "a.parquet", "--output-dir", tmp_path / "o", *SETTINGS, *SMALL) == 2
    assert "SOURCE has 'scan'; name the right one with --image-column" in only_error(capsys)
