"""What `pip install hipmr-hf` alone brings: the owner's and the client's whole way, and no more than that."""

import json
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from hub_server import HubServer

from hipmr_hf import SecretKey
from hipmr_hf.images.reading import read_image

NOT_IN_IT = {"torch", "transformers", "accelerate", "evaluate", "safetensors"}
NOT_IN_IT |= {"matplotlib", "scipy", "scikit-learn", "numba", "ray", "faster-coco-eval"}
MOST_MEGABYTES = 500

CLIENT = """
import sys
import PIL.Image
from hipmr_hf import Encryption, RandomShuffling

for place in ("encrypted", "owner/pictures"):
    encryption = Encryption.from_pretrained(place)
    assert encryption == RandomShuffling(image_size=32, patch_size=8)
    sent = encryption(PIL.Image.open("photo.png"))
    print(sent.size, sent.tobytes() != PIL.Image.open("photo.png").tobytes())
"""

IMPORTED = ("", ".encryption", ".images.reading", ".leaks.guard", ".dataset.run", ".commands", ".cli")


def picture(seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


@pytest.fixture
def pictures(tmp_path) -> Path:
    for i in range(6):
        path = tmp_path / "plain" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    return tmp_path / "plain"


def test_it_holds_no_library_of_an_extra_and_all_of_its_own_files(bare, tmp_path, record_property):
    listed = bare.run("pip", "list", "--format", "json", "--disable-pip-version-check", cwd=tmp_path)
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert "hipmr-hf" in names and not names & NOT_IN_IT
    package = bare.packages / "hipmr_hf"
    assert (package / "py.typed").is_file() and list(package.glob("hub/templates/*.md"))
    record_property("figure", f"The bare install takes {bare.megabytes:.0f} MB.")
    assert 0 < bare.megabytes < MOST_MEGABYTES


def test_owner_and_client_need_nothing_else(bare, pictures, tmp_path):
    with HubServer(tmp_path / "hub") as hub:
        owner = hub.environment("hf_owner", tmp_path / "home_of_owner")

        def hipmr(*arguments: object) -> str:
            done = bare.run("hipmr", *arguments, cwd=tmp_path, environment=owner)
            assert done.returncode == 0, done.stderr
            return done.stdout

        key = ("--key-file", "my.key")
        hipmr("keygen", "my.key")
        settings = ("--strategy", "rs", "--image-size", 32, "--patch-size", 8, *key)
        hub_options = ("--push-to-hub", "owner/pictures", "--license", "bsd-3-clause")
        hipmr("encrypt", "plain", "--output-dir", "encrypted", *settings, *hub_options)
        hipmr("decrypt", "encrypted", "--output-dir", "back", *key)
        assert " 0 leaks" in hipmr("leaks", "encrypted", *key)
        assert "torch: not installed" in hipmr("env")

        picture(9).save(tmp_path / "photo.png")
        client = hub.environment(None, tmp_path / "home_of_client")
        done = bare.run("python", "-c", CLIENT, cwd=tmp_path, environment=client)
        assert done.stdout.splitlines() == ["(32, 32) True"] * 2, done.stderr
        published = hub.files("datasets", "owner/pictures")

    assert published["README.md"].startswith(b"---\n") and "encryption_config.json" in published
    assert not any(SecretKey.load(tmp_path / "my.key")._secret in content for content in published.values())
    back = [row for file in (tmp_path / "back").rglob("*.parquet") for row in pq.read_table(file).to_pylist()]
    assert [row["label"] for row in back] == [0, 0, 0, 1, 1, 1]
    for row, seed in zip(back, (0, 2, 4, 1, 3, 5), strict=True):
        assert (read_image(row["image"]["bytes"]) == np.asarray(picture(seed))).all()


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("audit", "plain", "--output-dir", "report"), "audit"),
        (("convert", "model.pth", "--num-heads", 3, "--output-dir", "model"), "torch"),
        (("encrypt", "plain", "--engine", "ray", "--output-dir", "encrypted"), "ray"),
    ],
)
def test_a_command_tells_in_one_line_which_extra_it_needs(arguments, extra, bare, pictures, tmp_path):
    done = bare.run("hipmr", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "", done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("hipmr: error: ") and line.endswith(f'run: pip install "hipmr-hf[{extra}]"')
    assert not (tmp_path / arguments[-1]).exists()


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("from hipmr_hf import PEViTForImageClassification", "torch"),
        ("from hipmr_hf import PEYolosConfig", "torch"),
        ("import hipmr_hf.training", "torch"),
        ("from hipmr_hf.metrics import Accuracy", "torch"),
        ("from hipmr_hf.training.detection import build_peyolos", "torch"),
        ("from hipmr_hf.privacy_report import privacy_report", "audit"),
        ("from hipmr_hf.attacks.jigsaw.solver import JigsawAttack", "audit"),
        ("from hipmr_hf.attacks.trained.position import train_position", "audit,torch"),
        ("from hipmr_hf.attacks.mixing.decoder import train_mixing_decoder", "audit,torch"),
        ("from hipmr_hf.attacks.gradients.leakage import gradient_leakage", "audit,torch"),
    ],
)
def test_an_import_tells_which_extra_it_needs(code, extra, bare, tmp_path):
    done = bare.run("python", "-c", code, cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("hipmr_hf.errors.MissingExtraError: "), done.stderr
    assert last.endswith(f'run: pip install "hipmr-hf[{extra}]"')


def test_help_and_imports_are_quick(bare, tmp_path, record_property):
    seconds = []
    for _ in range(3):  # the best of three, for another process may have the processor
        start = time.perf_counter()
        assert bare.run("hipmr", "--help", cwd=tmp_path).returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1
    code = "import time; start = time.perf_counter(); import hipmr_hf{}; print(time.perf_counter() - start)"
    told = []
    for name in IMPORTED:
        done = bare.run("python", "-c", code.format(name), cwd=tmp_path)
        assert done.stderr == ""
        told.append(f"hipmr_hf{name} {float(done.stdout):.2f}")
    figures = f"hipmr --help {min(seconds):.2f}; import {', '.join(told)}"
    record_property("figure", f"Seconds in the bare install: {figures}.")
