"""Every layout that people have, from its files through `hipmr encrypt` to a trained step."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from command_helpers import MI, RS, run

from hipmr_hf.encryption import Encryption
from hipmr_hf.models import PEViTImageProcessorPil, PEViTModel
from hipmr_hf.training.classification import pevit_config_for
from hipmr_hf.training.script import parse_arguments

TINY = ["--model_size", "tiny", "--hidden_size", 16, "--num_hidden_layers", 1, "--num_attention_heads", 2]
STEP = ["--do_train", "--max_steps", 1, "--report_to", "none", "--disable_tqdm", "true", "--use_cpu"]
NAMES = [("cat", "a"), ("cat", "b"), ("dog", "c"), ("dog", "d")]  # class and stem of every picture
WIDTH, HEIGHT = 48, 32
BOX = (8, 16, 24, 8)  # x, y, width, height of the bright rectangle, in whole patches of 8 pixels


def png(seed: int = 0) -> bytes:
    """A dark picture with a bright rectangle in `BOX`."""
    pixels = np.random.default_rng(seed).integers(0, 40, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    x, y, width, height = BOX
    pixels[y : y + height, x : x + width] = 255
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# Layouts with classes


def class_folders(root: Path) -> None:
    for seed, (kind, stem) in enumerate(NAMES):
        write(root / kind / f"{stem}.png", png(seed))


def split_folders_with_classes(root: Path) -> None:
    class_folders(root / "train")
    class_folders(root / "test")


def _flat(root: Path) -> None:
    for seed, (_, stem) in enumerate(NAMES):
        write(root / f"{stem}.png", png(seed))


def metadata_csv(root: Path) -> None:
    _flat(root)
    write(
        root / "metadata.csv", "file_name,label\n" + "".join(f"{stem}.png,{kind}\n" for kind, stem in NAMES)
    )


def metadata_jsonl(root: Path) -> None:
    _flat(root)
    rows = [{"file_name": f"{stem}.png", "label": kind == "cat"} for kind, stem in NAMES]
    write(root / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def metadata_parquet(root: Path) -> None:
    _flat(root)
    rows = [{"file_name": f"{stem}.png", "label": len(kind + stem) + ord(stem) % 2} for kind, stem in NAMES]
    pq.write_table(pa.Table.from_pylist(rows), root / "metadata.parquet")


def csv_of_paths(root: Path) -> None:
    _flat(root / "scans")
    write(root / "list.csv", "path,label\n" + "".join(f"scans/{stem}.png,{kind}\n" for kind, stem in NAMES))


def zip_of_class_folders(root: Path) -> Path:
    with zipfile.ZipFile(root / "plain.zip", "w") as file:
        for seed, (kind, stem) in enumerate(NAMES):
            file.writestr(f"{kind}/{stem}.png", png(seed))
    return root / "plain.zip"


def _add(file: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    file.addfile(member, io.BytesIO(content))


def tar_of_class_folders(root: Path) -> Path:
    with tarfile.open(root / "plain.tar.gz", "w:gz") as file:
        for seed, (kind, stem) in enumerate(NAMES):
            _add(file, f"{kind}/{stem}.png", png(seed))
    return root / "plain.tar.gz"


def webdataset(root: Path) -> None:
    for shard in range(2):
        with tarfile.open(root / f"train-{shard}.tar", "w") as file:
            for seed, (kind, stem) in enumerate(NAMES):
                _add(file, f"{stem}.png", png(seed))
                _add(file, f"{stem}.cls", str(int(kind == "dog")).encode())


def parquet(root: Path) -> None:
    rows = {"image": [png(seed) for seed in range(4)], "label": [kind for kind, _ in NAMES]}
    pq.write_table(pa.table(rows), root / "train.parquet")


WITH_CLASSES = [
    (class_folders, ["cat", "dog"]),
    (split_folders_with_classes, ["cat", "dog"]),
    (metadata_csv, ["cat", "dog"]),
    (metadata_jsonl, ["False", "True"]),
    (metadata_parquet, ["4", "5"]),
    (csv_of_paths, ["cat", "dog"]),
    (zip_of_class_folders, ["cat", "dog"]),
    (tar_of_class_folders, ["cat", "dog"]),
    (webdataset, ["0", "1"]),
    (parquet, ["cat", "dog"]),
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of `datasets` of its own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "home")


def encrypted(make: Callable[[Path], Path | None], root: Path, *options: object) -> Path:
    (root / "plain").mkdir()
    source = make(root / "plain") or root / "plain"
    assert run("encrypt", source, "--output-dir", root / "out", *options) == 0
    return root / "out"


def train(module: object, folder: Path, output: Path, *options: object) -> list[str]:
    """Train one step as a user does, and return the classes that the model learned."""
    share = [] if list(folder.glob("data/test-*")) else ["--validation_fraction", 0.5]
    arguments = ["--dataset_name", folder, "--output_dir", output, *TINY, *share, *options]
    module.main(list(map(str, arguments)))
    return list(json.loads((output / "config.json").read_text())["id2label"].values())


@pytest.mark.parametrize(("make", "names"), WITH_CLASSES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_layout_with_classes_trains_a_classifier(make, names, example, tmp_path):
    folder = encrypted(make, tmp_path, *RS)
    assert train(example("run_image_classification.py"), folder, tmp_path / "model", *STEP) == names


def test_a_hub_dataset_trains_a_classifier(hub, example, tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    rows = {
        "image": [{"bytes": png(seed), "path": None} for seed in range(4)],
        "label": [kind for kind, _ in NAMES],
    }
    datasets.Dataset.from_dict(rows, features=features).push_to_hub("owner/plain")
    assert run("encrypt", "owner/plain", "--output-dir", tmp_path / "out", *RS) == 0
    names = train(example("run_image_classification.py"), tmp_path / "out", tmp_path / "model", *STEP)
    assert names == ["cat", "dog"]


def test_the_plain_loop_makes_classes_of_text_too(example, tmp_path):
    folder = encrypted(metadata_csv, tmp_path, *RS)
    module = example("run_image_classification_no_trainer.py")
    loop = SimpleNamespace(main=lambda words: module.main(*parse_arguments({"": module.Arguments}, words)))
    assert train(loop, folder, tmp_path / "model", "--max_train_steps", 1) == ["cat", "dog"]


# Layouts without labels


def split_folders_without_classes(root: Path) -> None:
    _flat(root / "train")
    _flat(root / "val")


@pytest.mark.parametrize(
    ("make", "splits"), [(_flat, ["train"]), (split_folders_without_classes, ["train", "validation"])]
)
def test_a_layout_without_labels_trains_features(make, splits, tmp_path):
    folder = encrypted(make, tmp_path, *RS)
    rows = datasets.load_dataset(str(folder))
    assert sorted(rows) == splits and rows["train"].column_names == ["image"]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    encryption = Encryption.from_pretrained(folder)
    model = PEViTModel(pevit_config_for(encryption, "tiny", **sizes))
    processor = PEViTImageProcessorPil(patch_size=encryption.encrypted_patch_size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = model(**processor(rows["train"]["image"][:], return_tensors="pt")).last_hidden_state
    found.square().mean().backward()
    optimizer.step()
    assert len(found) == 4 and torch.isfinite(found).all()
    assert any((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


# Layouts with objects


def _coco(split: str, root: Path, box: Sequence[int] = BOX) -> None:
    images = [{"id": 10 + i, "file_name": f"{stem}.png"} for i, (_, stem) in enumerate(NAMES)]
    kinds = {"cat": 1, "dog": 90}
    boxes = [
        {"image_id": 10 + i, "category_id": kinds[kind], "bbox": list(box)}
        for i, (kind, _) in enumerate(NAMES)
    ]
    categories = [{"id": number, "name": kind} for kind, number in kinds.items()]
    told = {"images": images, "annotations": boxes, "categories": categories}
    write(root / "annotations" / f"instances_{split}.json", json.dumps(told))
    _flat(root / split)


def coco(root: Path) -> None:
    _coco("train2017", root)
    _coco("test2017", root)


def coco_with_corners(root: Path) -> None:
    _coco("train", root, [*BOX[:2], BOX[0] + BOX[2], BOX[1] + BOX[3]])


def yolo(root: Path) -> None:
    x, y, width, height = BOX
    box = (x + width / 2) / WIDTH, (y + height / 2) / HEIGHT, width / WIDTH, height / HEIGHT
    for split in ("train", "test"):
        _flat(root / "images" / split)
        for kind, stem in NAMES:
            line = " ".join(map(str, (int(kind == "dog"), *box)))
            write(root / "labels" / split / f"{stem}.txt", line + "\n")
    write(root / "data.yaml", "train: images/train\ntest: images/test\nnames: {0: cat, 1: dog}\n")


def pascal_voc(root: Path) -> None:
    _flat(root / "JPEGImages")
    x, y, width, height = BOX
    corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}  # counted from 1
    box = "".join(f"<{name}>{value}</{name}>" for name, value in corners.items())
    for kind, stem in NAMES:
        text = f"<annotation><object><name>{kind}</name><bndbox>{box}</bndbox></object></annotation>"
        write(root / "Annotations" / f"{stem}.xml", text)


def _table_of(box: list[float], name: str = "categories") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        _flat(root)
        rows = [
            {"file_name": f"{stem}.png", "objects": {"bbox": [box], name: [kind]}} for kind, stem in NAMES
        ]
        write(root / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    return make


def _tables() -> list[tuple]:
    """The same box in every format that `--box-format` names."""
    x, y, width, height = BOX
    shares = [x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT]
    boxes = {
        "coco": list(BOX),
        "xyxy": [x, y, x + width, y + height],
        "yolo": [shares[0] + shares[2] / 2, shares[1] + shares[3] / 2, *shares[2:]],
        "xywh_share": shares,
        "xyxy_share": [*shares[:2], shares[0] + shares[2], shares[1] + shares[3]],
    }
    return [
        pytest.param(_table_of(box), ["--box-format", name], id=f"metadata-{name}")
        for name, box in boxes.items()
    ]


def parquet_with_objects(root: Path) -> None:
    rows = [
        {"image": png(seed), "objects": [{"bbox": list(BOX), "label": kind, "id": seed}]}
        for seed, (kind, _) in enumerate(NAMES)
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "a.parquet")


def webdataset_with_objects(root: Path) -> None:
    with tarfile.open(root / "train.tar", "w") as file:
        for seed, (kind, stem) in enumerate(NAMES):
            _add(file, f"{stem}.png", png(seed))
            told = {"objects": {"bbox": [BOX], "category": [kind]}}
            _add(file, f"{stem}.json", json.dumps(told).encode())


OTHERS = [coco, yolo, pascal_voc, parquet_with_objects, webdataset_with_objects]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        *(pytest.param(make, [], id=make.__name__) for make in OTHERS),
        pytest.param(coco_with_corners, ["--box-format", "xyxy"], id="coco_with_corners"),
        *_tables(),
    ],
)
def test_a_layout_with_objects_trains_a_detector_and_its_boxes_lie_on_their_pixels(
    make, options, example, tmp_path
):
    folder = encrypted(make, tmp_path, *MI, *options)
    (row, *_) = datasets.load_dataset(str(folder), split="train")
    ys, xs = np.nonzero(np.asarray(row["image"].convert("L")) > 128)
    around = [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
    assert row["objects"]["bbox"] == [pytest.approx(around, abs=1e-4)]
    assert around == [length / 2 for length in BOX]  # by the grid of 2x2 sub-patches
    options = ["--num_detection_tokens", 4, "--draw", 0, *STEP]
    assert train(example("run_object_detection.py"), folder, tmp_path / "model", *options) == ["cat", "dog"]
