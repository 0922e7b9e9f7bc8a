"""What `--labels` and `--splits` make of each kind of source, or the one line that refuses them."""

import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from picture_files import file_of, noise

from hipmr_hf.cli import main
from hipmr_hf.dataset.parts import Part, batches_of
from hipmr_hf.dataset.source import open_source
from hipmr_hf.dataset.sources.listing import SourceOptions
from hipmr_hf.errors import InputValueError

PNG = file_of(noise(16, 16), "PNG")


def opened(*places: Path, **options):
    return open_source(list(map(str, places)), SourceOptions(**options))


def labels(source, split: str = "train") -> list[str]:
    """The names of a split's labels, read as workers read them."""
    rows = source.splits[split]
    names = rows.features["label"].names
    parts = [Part(split, file, i) for file in range(rows.num_files) for i in range(rows.num_parts(file))]
    batches = [batch for part in parts for batch in batches_of(source, part, ["image", "label"])]
    assert all(set(batch) == {"image", "label"} for batch in batches)
    found = [label for batch in batches for label in batch["label"]]
    assert [label for _, label in rows.unread("image", "label")] == found
    return [names[label] for label in found]


def parquet(path: Path, features: Features | None = None, **columns: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"image": [PNG] * len(next(iter(columns.values()))), **columns}
    if features is None:
        pq.write_table(pa.table(rows), path, row_group_size=2)
    else:
        rows["image"] = [{"bytes": PNG, "path": None}] * len(rows["image"])
        Dataset.from_dict(rows, features=Features({"image": Image(), **features})).to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("values", "names"),
    [(["b", "a", "b"], ["a", "b"]), ([3, 1, 3], ["1", "3"]), ([True, False, True], ["False", "True"])],
)
def test_a_column_of_parquet_files_becomes_classes_that_are_the_same_in_all_splits(values, names, tmp_path):
    parquet(tmp_path / "train.parquet", site=values, label=[0.5] * 3)
    parquet(tmp_path / "test.parquet", site=values[:1], label=[0.5])
    source = opened(tmp_path, labels="site")
    assert [split.features["label"].names for split in source.splits.values()] == [names, names]
    assert labels(source) == list(map(str, values)) and labels(source, "test") == [str(values[0])]
    assert "2 classes" in source.told()


def test_lists_become_lists_of_classes_and_may_be_empty(tmp_path):
    parquet(tmp_path / "train.parquet", seen=[["owl", "cat"], [], ["cat"]])
    parquet(tmp_path / "test.parquet", seen=[["dog"]])
    source = opened(tmp_path, labels="seen")
    rows = source.splits["train"]
    assert rows.features["label"] == List(ClassLabel(names=["cat", "dog", "owl"]))
    batches = [
        b for i in range(rows.num_parts(0)) for b in batches_of(source, Part("train", 0, i), ["label"])
    ]
    assert [label for batch in batches for label in batch["label"]] == [[2, 0], [], [0]]
    assert [label for _, label in rows.unread("image", "label")] == [[2, 0], [], [0]]
    assert "3 classes" in source.told()
    parquet(tmp_path / "train.parquet", seen=[["owl"], None])
    with pytest.raises(InputValueError, match="--labels: some rows have no value in 'seen'"):
        opened(tmp_path, labels="seen")


def test_lists_that_know_their_classes_and_those_of_a_table_are_taken_too(tmp_path):
    known = {"seen": List(ClassLabel(names=["b", "a"]))}
    (source,) = [opened(parquet(tmp_path / "a.parquet", known, seen=[[1], [0, 1]]), labels="seen")]
    assert source.splits["train"].features["label"] == known["seen"]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_bytes(PNG)
    (tmp_path / "pictures" / "metadata.jsonl").write_text('{"file_name": "1.png", "seen": ["x", "y"]}\n')
    split = opened(tmp_path / "pictures", labels="seen").splits["train"]
    assert split.features["label"] == List(ClassLabel(names=["x", "y"]))
    assert [label for _, label in split.unread("image", "label")] == [[0, 1]]


def test_a_column_that_knows_its_classes_keeps_them(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"fine": ClassLabel(names=["dog", "cat", "ant"])}, fine=[1, 0])
    source = opened(path, labels="fine")
    assert source.splits["train"].features["label"].names == ["dog", "cat", "ant"]
    assert labels(source) == ["cat", "dog"]


def test_the_column_label_itself_becomes_classes(tmp_path):
    assert labels(opened(parquet(tmp_path / "a.parquet", label=["b", "a"]), labels="label")) == ["b", "a"]


def test_none_leaves_the_labels_out(tmp_path):
    source = opened(parquet(tmp_path / "a.parquet", label=[0, 1], site=["a", "b"]), labels="none")
    assert list(source.splits["train"].features) == ["image", "site"] and source.total_rows == 2
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(PNG)
    (tmp_path / "pictures" / "metadata.csv").write_text("file_name,label\na.png,x\n")
    source = opened(tmp_path / "pictures", labels="none")
    assert list(source.splits["train"].features) == ["image"]


def test_the_command_publishes_the_classes_of_a_parquet_column(tmp_path):
    path = parquet(tmp_path / "a.parquet", site=["b", "a", "b"])
    command = ["encrypt", str(path), "--output-dir", str(tmp_path / "out"), "--image-size", "16"]
    assert main([*command, "--patch-size", "4", "--labels", "site"]) == 0
    (shard,) = (tmp_path / "out" / "data").iterdir()
    assert Features.from_arrow_schema(pq.read_schema(shard))["label"] == ClassLabel(names=["a", "b"])
    assert pq.read_table(shard, columns=["label"]).to_pydict() == {"label": [1, 0, 1]}
    assert pq.read_schema(shard).names == ["image", "label"]


def test_a_table_in_class_folders_can_take_the_folders_for_classes(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.png").write_bytes(PNG)
    (tmp_path / "metadata.csv").write_text("file_name,age\ncat/1.png,3\ndog/1.png,4\n")
    assert labels(opened(tmp_path, labels="folders")) == ["cat", "dog"]
    assert labels(opened(tmp_path, labels="age")) == ["3", "4"]


def test_a_column_of_webdataset_becomes_classes(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with tarfile.open(tmp_path / "train.tar", "w") as file:
        for key in ("x", "y"):
            (tmp_path / "a.json").write_text(json.dumps({"site": key}))
            file.add(tmp_path / "a.png", f"{key}.png")
            file.add(tmp_path / "a.json", f"{key}.json")
    assert labels(opened(tmp_path / "train.tar", labels="site")) == ["x", "y"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("nowhere", "the column 'nowhere' is not there, .*columns .* are image, site, boxes, score"),
        ("score", "'score' holds numbers such as 0.25, .* with --keep-columns score, .*--label_column score"),
        ("boxes", "the column 'boxes' is List"),
        ("site", "some rows have no value in 'site'"),
        ("folders", "folders are no classes in Parquet"),
    ],
)
def test_what_cannot_be_classes_is_one_line(said, message, tmp_path):
    path = parquet(tmp_path / "a.parquet", site=["a", None], boxes=[[1.5], [2.0]], score=[0.25, 1])
    with pytest.raises(InputValueError, match=f"^--labels: .*{message}") as error:
        opened(path, labels=said)
    assert "\n" not in str(error.value)


def test_a_hub_dataset_takes_a_column_that_knows_its_classes(hub):
    features = Features({"image": Image(), "fine": ClassLabel(names=["b", "a"]), "site": Value("string")})
    rows = {"image": [{"bytes": PNG, "path": None}] * 2, "fine": [1, 0], "site": ["x", "y"]}
    Dataset.from_dict(rows, features=features).push_to_hub("owner/plain")
    source = open_source(["owner/plain"], SourceOptions(labels="fine"))
    assert source.splits["train"].features["label"].names == ["b", "a"] and labels(source) == ["a", "b"]
    with pytest.raises(InputValueError, match=r"'site' is .*columns of ClassLabel; for others download it"):
        open_source(["owner/plain"], SourceOptions(labels="site"))
    for splits in ("folders", "none"):
        with pytest.raises(InputValueError, match=f"--splits: got {splits}, but a Hub dataset"):
            open_source(["owner/plain"], SourceOptions(splits=splits))


def test_splits_of_parquet_files_are_what_was_said(tmp_path):
    for name in ("north/1/train.parquet", "north/test.parquet", "south/train.parquet"):
        parquet(tmp_path / name, site=["a"])

    def counts(*places, **options):
        return {name: split.num_rows for name, split in opened(*places, **options).splits.items()}

    assert counts(tmp_path) == {"train": 2, "test": 1}
    assert counts(tmp_path, splits="none") == {"train": 3}
    assert counts(tmp_path, splits="folders") == {"north": 2, "south": 1}
    files = (tmp_path / "north" / "test.parquet", tmp_path / "south" / "train.parquet")
    assert counts(*files, splits="folders") == {"north": 1, "south": 1}
    parquet(tmp_path / "loose.parquet", site=["a"])
    with pytest.raises(InputValueError, match=r"--splits: got folders, but loose.parquet lies in no folder"):
        counts(tmp_path, splits="folders")


def test_annotations_tell_their_splits_unless_all_is_one(tmp_path):
    for split in ("train", "val"):
        for place, content in (("images/{}/1.png", PNG), ("labels/{}/1.txt", b"0 0.5 0.5 0.25 0.5\n")):
            path = tmp_path / place.format(split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a]\n")
    assert {name: s.num_rows for name, s in opened(tmp_path, splits="none").splits.items()} == {"train": 2}
    with pytest.raises(InputValueError, match="--splits: got folders, but YOLO tells its splits"):
        opened(tmp_path, splits="folders")
    with pytest.raises(InputValueError, match="--labels: got folders, but folders are no classes in YOLO"):
        opened(tmp_path, labels="folders")
    with pytest.raises(InputValueError, match=r"--labels: the column 'objects' is \{"):
        opened(tmp_path, labels="objects")
