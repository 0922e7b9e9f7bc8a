import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Features, Image, Value

from hipmr_hf.dataset.parts import Part, PartedSource


@pytest.fixture
def folder(tmp_path):
    for i in range(600):
        path = tmp_path / "plain" / f"class{i % 2}" / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (4, 4), (i % 256, i // 256, 0)).save(path)
    return tmp_path / "plain"


@pytest.fixture
def parquet(tmp_path):
    features = Features({"image": Image(), "label": Value("int64")})
    for name, rows in (("a", range(100)), ("b", range(100, 150))):
        pixels = np.zeros((len(rows), 4, 4, 3), np.uint8)
        dataset = Dataset.from_dict({"image": list(pixels), "label": list(rows)}, features=features)
        dataset.to_parquet(tmp_path / f"{name}.parquet", batch_size=30)
    return [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]


def parts_of(parted):
    return [
        Part("train", file, number)
        for file in range(parted.num_files("train"))
        for number in range(parted.num_parts("train", file))
    ]


def rows_of(parted, parts, column):
    batches = (batch for part in parts for batch in parted.batches(part, ["image", "label"]))
    return [value for batch in batches for value in batch[column]]


def test_parts_of_a_folder_are_its_rows_in_order(folder):
    parted = PartedSource([str(folder)], image_column="image")
    whole = [row["image"]["path"] for row in parted._undecoded(parted.plain.splits["train"], ["image"])]
    found = rows_of(parted, parts_of(parted), "image")
    assert len(parts_of(parted)) == 3
    assert [image["path"] for image in found] == whole and len(set(whole)) == 600
    assert not any(image["bytes"] for image in found)


def test_parts_can_be_read_in_any_order_and_again(folder):
    parted = PartedSource([str(folder)], image_column="image")
    in_order = {part: rows_of(parted, [part], "image") for part in parts_of(parted)}
    for part in [Part("train", 0, i) for i in (2, 0, 0, 2, 1)]:
        assert rows_of(parted, [part], "image") == in_order[part]


def test_parts_of_parquet_are_row_groups(parquet):
    parted = PartedSource(parquet, image_column="image")
    parts = parts_of(parted)
    assert [(part.file, part.number) for part in parts] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert rows_of(parted, parts, "label") == list(range(150))
    assert rows_of(parted, parts[4:5], "label") == list(range(100, 130))


def test_a_file_without_rows_has_no_parts(tmp_path, parquet):
    features = Features({"image": Image(), "label": Value("int64")})
    Dataset.from_dict({"image": [], "label": []}, features=features).to_parquet(tmp_path / "c.parquet")
    parted = PartedSource([*parquet, str(tmp_path / "c.parquet")], image_column="image")
    assert parted.num_parts("train", 2) == 0
