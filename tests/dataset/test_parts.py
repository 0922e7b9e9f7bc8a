import numpy as np
import PIL.Image
import pytest
from datasets import Dataset, Features, Image, Value

from hipmr_hf.dataset.parts import Part, batches_of, num_parts
from hipmr_hf.dataset.source import open_source


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


def parts_of(source):
    files = range(source.splits["train"].num_files)
    return [Part("train", file, i) for file in files for i in range(num_parts(source, "train", file))]


def rows_of(source, parts, column):
    batches = (batch for part in parts for batch in batches_of(source, part, ["image", "label"]))
    return [value for batch in batches for value in batch[column]]


def test_parts_of_a_folder_are_its_rows_in_order(folder):
    source = open_source([str(folder)])
    assert len(parts_of(source)) == 10
    expected = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    assert rows_of(source, parts_of(source), "image") == expected
    assert rows_of(source, parts_of(source), "label") == [0] * 300 + [1] * 300


def test_parts_can_be_read_in_any_order_and_again(folder):
    source = open_source([str(folder)])
    in_order = {part: rows_of(source, [part], "image") for part in parts_of(source)}
    for part in [Part("train", 0, i) for i in (2, 0, 0, 9, 1)]:
        assert rows_of(source, [part], "image") == in_order[part]


def test_parts_of_parquet_are_row_groups(parquet):
    source = open_source(parquet)
    parts = parts_of(source)
    assert [(part.file, part.number) for part in parts] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert rows_of(source, parts, "label") == list(range(150))
    assert rows_of(source, parts[4:5], "label") == list(range(100, 130))


def test_a_large_row_group_is_cut_so_that_several_can_work_on_it(tmp_path):
    features = Features({"image": Image(), "label": Value("int64")})
    rows = {"image": [np.zeros((4, 4, 3), np.uint8)] * 600, "label": list(range(600))}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet", batch_size=1000)
    source = open_source([str(tmp_path / "a.parquet")])
    parts = parts_of(source)
    assert [len(rows_of(source, [part], "label")) for part in parts] == [256, 256, 88]
    assert rows_of(source, parts, "label") == list(range(600))


def test_few_bytes_are_held_however_large_the_pictures_are(tmp_path, monkeypatch):
    monkeypatch.setattr("hipmr_hf.dataset.sources.splits._BATCH_BYTES", 5_000)
    for i in range(10):
        (tmp_path / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000))
    source = open_source([str(tmp_path)])
    sizes = [len(batch["image"]) for batch in batches_of(source, Part("train", 0, 0), ["image"])]
    assert sizes == [3, 3, 3, 1]


def test_a_file_without_rows_has_no_parts(tmp_path, parquet):
    features = Features({"image": Image(), "label": Value("int64")})
    Dataset.from_dict({"image": [], "label": []}, features=features).to_parquet(tmp_path / "c.parquet")
    assert num_parts(open_source([*parquet, str(tmp_path / "c.parquet")]), "train", 2) == 0
