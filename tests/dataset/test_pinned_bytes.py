"""What a run writes for a key and nonces is pinned, file by file: who has such data must be able to go on.

`python tests/dataset/test_pinned_bytes.py` writes `pinned_bytes.json` anew, after a change that is meant.
"""

import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, List, Value

import hipmr_hf.dataset.rows as rows
from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey, Sides
from hipmr_hf.dataset.job import EncryptionJob, Told
from hipmr_hf.dataset.run import encrypt_source
from hipmr_hf.images.reading import read_image

PINS = Path(__file__).with_name("pinned_bytes.json")
KEY = SecretKey(hashlib.sha256(b"a key for pins").digest())
# Whole files are those of these releases; what they hold is the same under all.
WRITERS = ("pyarrow", "pillow", "datasets")


def picture(seed: int, height: int = 40, width: int = 52) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def class_folders(root: Path) -> str:
    for i in range(6):
        path = root / "plain" / ("cat", "dog")[i % 2] / f"john_doe_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(picture(i)).save(path)
    return str(root / "plain")


def split_folders(root: Path) -> str:
    for i in range(6):
        path = root / "plain" / ("train", "test")[i % 3 == 0] / "cat" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(picture(i)).save(path)
    return str(root / "plain")


def labelled_rows(root: Path) -> str:
    """150 rows in row groups of 40, so that pieces and parts do not end at one row."""
    features = Features(
        {"image": Image(), "label": ClassLabel(names=["cat", "dog"]), "site": Value("string")}
    )
    columns = {
        "image": [picture(i) for i in range(150)],
        "label": [i % 2 for i in range(150)],
        "site": ["north"] * 150,
    }
    Dataset.from_dict(columns, features=features).to_parquet(root / "plain.parquet", batch_size=40)
    return str(root / "plain.parquet")


def rows_with_objects(root: Path) -> str:
    objects = {"bbox": List(List(Value("float32"), length=4)), "category": List(ClassLabel(names=["a", "b"]))}
    features = Features({"image": Image(), "objects": objects})
    boxes = [[float(i), 2.0, 20.0, 16.5] for i in range(3)]
    columns = {
        "image": [picture(i, 64, 80) for i in range(5)],
        "objects": [{"bbox": boxes[: i % 4], "category": [0, 1, 0][: i % 4]} for i in range(5)],
    }
    Dataset.from_dict(columns, features=features).to_parquet(root / "plain.parquet")
    return str(root / "plain.parquet")


RS = {"image_size": 32, "patch_size": 8}
# name: settings, source, options of the job
CASES: dict[str, tuple[Encryption, Callable[[Path], str], dict]] = {
    "rs": (RandomShuffling(**RS), class_folders, {}),
    "rs of another shape": (RandomShuffling(image_size=(32, 48), patch_size=8), labelled_rows, {}),
    "rs, interval": (RandomShuffling(**RS, interval=2), labelled_rows, {"keep_columns": ("label", "site")}),
    "rs, drop": (RandomShuffling(**RS, drop_ratio=0.25), labelled_rows, {"keep_columns": ()}),
    "rs, symmetries, webp": (
        RandomShuffling(**RS, sub_patch_symmetries=True),
        class_folders,
        {"image_format": "webp"},
    ),
    "rs, normalization, jpeg": (
        RandomShuffling(**RS, patch_normalization=True),
        class_folders,
        {"image_format": "jpeg", "jpeg_quality": 90},
    ),
    "rs+mi": (RandomShuffling(**RS, sub_patch_grid=2), labelled_rows, {}),
    "rs+mi, symmetries": (
        RandomShuffling(**RS, sub_patch_grid=2, sub_patch_symmetries=True),
        class_folders,
        {},
    ),
    "rs+mi, hardened": (
        RandomShuffling(
            **RS, interval=2, sub_patch_grid=3, sub_patch_symmetries=True, patch_normalization=True
        ),
        labelled_rows,
        {},
    ),
    "mi": (MixingUp(patch_size=8), split_folders, {}),
    "mi, symmetries": (MixingUp(patch_size=8, sub_patch_symmetries=True), rows_with_objects, {}),
    "mi, hardened, sides": (
        MixingUp(image_size=Sides(48, 64), patch_size=8, sub_patch_symmetries=True, patch_normalization=True),
        rows_with_objects,
        {},
    ),
    "mi of a grid of 4": (
        MixingUp(image_size=64, patch_size=16, sub_patch_grid=4, sub_patch_symmetries=True),
        rows_with_objects,
        {"keep_columns": ("objects",)},
    ),
}


class Machine:
    """A pool that hands over as a cluster does, pickled, and a machine that opens all on its own."""

    def put(self, told: Told) -> None:
        self.told = pickle.dumps(told)

    def map(self, function: Callable, arguments: Iterable) -> Iterator:
        for argument in arguments:
            call = pickle.dumps((function, argument))
            function, argument = pickle.loads(call)
            yield function(pickle.loads(self.told), argument)

    def close(self) -> None:
        """Nothing was started."""


def run_local(job: EncryptionJob, source: str, output: Path) -> None:
    encrypt_source(job, [source], output)


def run_on_machines(job: EncryptionJob, source: str, output: Path) -> None:
    """The cluster's way, without a cluster."""
    key_file = None
    if job.key is not None:
        key_file = output.parent / "a.key"
        job.key.save(key_file)
    with mock.patch("hipmr_hf.dataset.ray_pool.RayPool", Machine):
        told = dataclasses.replace(job, key=None)
        encrypt_source(told, [source], output, engine="ray", key_file=key_file)


ENGINES = {"local": run_local, "machines": run_on_machines}


def written(engine: str, case: str, root: Path) -> Path:
    encryption, source, options = CASES[case]
    encryption = dataclasses.replace(encryption, jpeg_decoding="full")  # as these settings were written
    key = KEY if encryption.draws_randomness else None
    nonces = (hashlib.sha256(str(i).encode()).digest()[:16] for i in itertools.count())
    with mock.patch.object(rows, "new_nonce", lambda: next(nonces)):
        ENGINES[engine](
            EncryptionJob(encryption, key=key, irreversible=True, **options), source(root), root / "encrypted"
        )
    return root / "encrypted"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def files_of(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in paths}


def content_of(folder: Path) -> dict[str, str]:
    """Hashes of what the shards hold, however they are packed: types, row groups, pixels, other values."""
    found = {}
    for path in sorted((folder / "data").iterdir()):
        table, metadata = pq.read_table(path), pq.read_metadata(path)
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        told = [f"{groups} {table.schema.remove_metadata()}", table.schema.metadata[b"huggingface"].decode()]
        for row in table.to_pylist():
            image = row.pop("image")
            pixels = read_image(image["bytes"])
            told.append(f"{image['path']} {pixels.shape} {sha256(pixels.tobytes())} {sorted(row.items())}")
        found[path.name] = sha256("\n".join(told).encode())
    return found


def releases() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in WRITERS}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_and_nonces_give_the_bytes_that_they_gave(engine, case, tmp_path):
    pinned = json.loads(PINS.read_text())
    folder = written(engine, case, tmp_path)
    if not case.endswith("jpeg"):  # what a JPEG decodes to is the library's
        assert content_of(folder) == pinned["content"][case]
    if releases() == pinned["releases"]:
        assert files_of(folder) == pinned["files"][case]


def record() -> None:
    pins = {"releases": releases(), "content": {}, "files": {}}
    for case in CASES:
        with tempfile.TemporaryDirectory() as root:
            folder = written("local", case, Path(root))
            pins["content"][case], pins["files"][case] = content_of(folder), files_of(folder)
    PINS.write_text(json.dumps(pins, indent=1) + "\n")


if __name__ == "__main__":
    record()
