"""What a source is taken for, and that every file of it is a row or is named."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hipmr_hf.dataset.parts import Part, batches_of
from hipmr_hf.dataset.source import open_source
from hipmr_hf.dataset.sources.annotations import list_coco, list_voc, list_yolo
from hipmr_hf.dataset.sources.listing import SourceOptions
from hipmr_hf.errors import InputValueError, UserError

PNG = b"\x89PNG\r\n\x1a\n"


def picture(path: Path, colour: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (8, 6), (colour, 0, 0)).save(path, "PNG")
    return path


def rows(source, split="train", columns=None) -> list[dict]:
    columns = columns or [name for name in source.splits[split].features if name != "image"]
    found = []
    for number in range(source.splits[split].num_parts(0)):
        for batch in batches_of(source, Part(split, 0, number), columns):
            found += [dict(zip(columns, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    return found


def counts(source) -> dict[str, int]:
    return {name: split.num_rows for name, split in source.splits.items()}


def opened(place, **options):
    return open_source([str(place)], SourceOptions(**options))


def test_a_flat_folder(tmp_path):
    for name in ("a.png", "train_1.png", "test::2.png", "scan[2].png", "\u00e4.png", "val.png"):
        picture(tmp_path / name)
    source = opened(tmp_path)
    assert counts(source) == {"train": 6} and list(source.splits["train"].features) == ["image"]
    assert source.told() == "a folder of pictures: 1 split (train), 6 pictures"


def test_class_folders(tmp_path):
    for name in ("dog/1.png", "cat[a]/1.png", "cat[a]/2.png"):
        picture(tmp_path / name)
    source = opened(tmp_path)
    assert source.told() == "class folders: 1 split (train), 2 classes, 3 pictures"
    assert source.splits["train"].features["label"].names == ["cat[a]", "dog"]
    assert [row["label"] for row in rows(source)] == [0, 0, 1]


@pytest.mark.parametrize("classes", [False, True])
def test_split_folders(classes, tmp_path):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for i in range(count):
            picture(tmp_path / split / (("cat", "dog")[i % 2] if classes else "") / f"{i}.png")
    source = opened(tmp_path)
    assert counts(source) == {"test": 1, "train": 3, "validation": 2}
    assert ("label" in source.splits["train"].features) == classes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a.png", "test/a.png", "holdout/a.png"], "pictures beside them .1 in holdout."),
        (["train/a.png", "test/a.png", "a.png"], "pictures beside them .1 in no folder."),
        (["cat/a.png", "dog/a.png", "a.png"], "look like classes, and 1 in no folder"),
        (["cat/1/a.png", "dog/a.png"], "folders of folders, such as cat/1/a.png"),
        (["val/a.png", "dev/a.png"], "would both be the split 'validation'"),
    ],
)
def test_pictures_that_would_be_nowhere_are_an_error_that_names_the_flag(names, message, tmp_path):
    for name in names:
        picture(tmp_path / name)
    with pytest.raises(InputValueError, match=message) as error:
        opened(tmp_path)
    assert "--" in str(error.value) or "rename" in str(error.value)
    assert sum(counts(opened(tmp_path, splits="none", labels="none")).values()) == len(names)


def test_said_outright_an_extra_folder_is_a_split(tmp_path):
    for name in ("train/a.png", "test/a.png", "holdout/a.png"):
        picture(tmp_path / name)
    assert counts(opened(tmp_path, splits="folders")) == {"holdout": 1, "test": 1, "train": 1}


def test_metadata_keeps_its_columns_and_names_what_it_lacks(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("file_name,age,site\na.png,3,north\nb.png,4,south\n")
    source = opened(tmp_path)
    assert rows(source) == [{"age": 3, "site": "north"}, {"age": 4, "site": "south"}]
    assert {why: list(names) for why, names in source.account.skipped.items()} == {
        "not in the table": ["c.png"],
        "a table that was read": ["metadata.csv"],
    }
    classes = opened(tmp_path, labels="site")
    assert classes.splits["train"].features["label"].names == ["north", "south"]
    assert rows(classes, columns=["label"]) == [{"label": 0}, {"label": 1}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_metadata_of_other_kinds_hold_objects(kind, tmp_path):
    picture(tmp_path / "train" / "a.png")
    values = {"file_name": "a.png", "objects": {"bbox": [[0, 0, 4, 4]], "categories": [1]}}
    if kind == "jsonl":
        (tmp_path / "train" / "metadata.jsonl").write_text(json.dumps(values) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([values]), tmp_path / "train" / "metadata.parquet")
    (row,) = rows(opened(tmp_path))
    assert row["objects"] == {"bbox": [[0, 0, 4, 4]], "categories": [1]}


def test_tables_of_splits_may_guess_unlike_types_of_numbers(tmp_path):
    """A split of whole numbers beside one of fractions, and one in which there is nothing."""
    boxes = {"train": [[0, 0, 4, 4]], "test": [[0.5, 0.5, 4, 4]], "val": []}
    for split, found in boxes.items():
        picture(tmp_path / split / "a.png")
        row = {"file_name": "a.png", "objects": {"bbox": found, "category": ["x"] * len(found)}}
        (tmp_path / split / "metadata.jsonl").write_text(json.dumps(row))
    source = opened(tmp_path)
    assert counts(source) == {"test": 1, "train": 1, "validation": 1}
    objects = source.splits["train"].features["objects"]
    assert objects == {"bbox": List(List(Value("float64"))), "category": List(Value("string"))}
    (tmp_path / "val" / "metadata.jsonl").write_text('{"file_name": "a.png", "objects": "none"}')
    with pytest.raises(InputValueError, match="have values of unlike kinds"):
        opened(tmp_path)
    (tmp_path / "val" / "metadata.jsonl").write_text('{"file_name": "a.png"}')
    with pytest.raises(InputValueError, match="has other columns than"):
        opened(tmp_path)


def test_a_table_of_paths(tmp_path):
    picture(tmp_path / "scans" / "a.png")
    (tmp_path / "list.csv").write_text("path,grade\nscans/a.png,2\n")
    for place in (tmp_path, tmp_path / "list.csv"):
        assert rows(opened(place)) == [{"grade": 2}]


@pytest.mark.parametrize(
    "place", ["../secret.png", "/etc/secret.png", "https://example.org/a.png", "gone.png"]
)
def test_a_table_cannot_name_what_lies_elsewhere(place, tmp_path):
    picture(tmp_path / "secret.png")
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "metadata.csv").write_text(f"file_name\n{place}\n")
    with pytest.raises(InputValueError, match=r"outside of its folder|not there"):
        opened(tmp_path / "in")


def coco(images, annotations, categories=({"id": 7, "name": "cell"}, {"id": 3, "name": "bud"})) -> str:
    return json.dumps({"images": images, "annotations": annotations, "categories": list(categories)})


def test_coco(tmp_path):
    for split in ("train2017", "val2017"):
        picture(tmp_path / "images" / split / "1.png")
        annotation = {"image_id": 5, "category_id": 7, "bbox": [1, 1, 2, 3]}  # no iscrowd, no area
        (tmp_path / "annotations").mkdir(exist_ok=True)
        told = coco([{"id": 5, "file_name": "1.png"}], [annotation])
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(told)
    source = opened(tmp_path)
    assert counts(source) == {"train": 1, "validation": 1}
    features = source.splits["train"].features["objects"]
    assert features["category"].feature.names == ["bud", "cell"]
    assert rows(source) == [{"objects": {"bbox": [[1, 1, 2, 3]], "category": [1]}}]


def test_coco_in_split_folders_with_one_file_each(tmp_path):
    """As labelling services export it: files of one name, which the folders tell apart."""
    for split in ("train", "valid"):
        picture(tmp_path / split / "1.png")
        told = coco(
            [{"id": 1, "file_name": "1.png"}], [{"image_id": 1, "category_id": 7, "bbox": [1, 1, 2, 3]}]
        )
        (tmp_path / split / "_annotations.coco.json").write_text(told)
    source = opened(tmp_path)
    assert counts(source) == {"train": 1, "validation": 1}
    assert source.splits["validation"].names == ["valid/1.png"]


def test_cocos_crowds_are_marked_and_images_without_objects_stay(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    box = {"bbox": [1, 2, 4, 3], "area": 9.5, "segmentation": [[1, 2, 3, 4]]}
    images = [{"id": i, "file_name": name} for i, name in ((7, "a.png"), (30, "b.png"), (9, "c.png"))]
    annotations = [
        {**box, "image_id": 7, "category_id": 7, "iscrowd": 0},
        {**box, "image_id": 7, "category_id": 3, "iscrowd": 1},
        {**box, "image_id": 9, "category_id": 3},  # some say it only where it is so
    ]
    (tmp_path / "instances.json").write_text(coco(images, annotations))
    objects = [row["objects"] for row in rows(opened(tmp_path))]
    assert [each["category"] for each in objects] == [[1, 0], [], [0]]
    assert [each["iscrowd"] for each in objects] == [[0, 1], [], [0]]
    assert [len(each["bbox"]) for each in objects] == [2, 0, 1]


def test_yolo(tmp_path):
    for split in ("train", "val"):
        picture(tmp_path / "images" / split / "1.jpg")
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / "1.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text(
        "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames: [a, b]\n"
    )
    source = opened(tmp_path)
    assert counts(source) == {"train": 1, "validation": 1} and source.splits["train"].box_format == "yolo"
    assert rows(source) == [{"objects": {"bbox": [[0.5, 0.5, 0.25, 0.5]], "category": [1]}}]


def test_pascal_voc(tmp_path):
    picture(tmp_path / "JPEGImages" / "1.jpg")
    (tmp_path / "Annotations").mkdir()
    box = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>"
    text = f"<annotation><object><name>dog</name>{box}</object></annotation>"
    (tmp_path / "Annotations" / "1.xml").write_text(text)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("1\n")
    source = opened(tmp_path)
    assert counts(source) == {"validation": 1}
    assert rows(source, "validation") == [{"objects": {"bbox": [[1, 0, 4, 4]], "category": [0]}}]


@pytest.mark.parametrize("layout", ["coco", "yolo", "voc"])
def test_the_names_of_a_large_source_are_not_gone_through_for_every_picture(layout):
    stems = [f"{i:04d}" for i in range(300)]
    files = {f"images/train/{stem}.png": PNG for stem in stems}
    if layout == "coco":
        images = [{"id": i, "file_name": f"{stem}.png"} for i, stem in enumerate(stems)]
        files["train.json"] = coco(images, []).encode()
    elif layout == "yolo":
        files["data.yaml"] = b"train: images/train\nnames: [a]\n"
    else:
        files |= {f"Annotations/{stem}.xml": b"<annotation/>" for stem in stems}
    passes = []

    class Names(tuple):
        def __iter__(self):
            passes.append(1)
            return super().__iter__()

        def __contains__(self, name):
            passes.append(1)
            return super().__contains__(name)

    tree = SimpleNamespace(names=Names(sorted(files)), odd={}, open=lambda name: io.BytesIO(files[name]))
    pictures = Names(name for name in files if name.endswith(".png"))
    if layout == "coco":
        listing = list_coco(tree, ["train.json"], pictures)
    elif layout == "yolo":
        listing = list_yolo(tree, "data.yaml", pictures)
    else:
        listing = list_voc(tree, pictures)
    assert len(listing.rows["train"]) == 300 and len(passes) < 15


@pytest.mark.parametrize(
    "places", [("{}/1.png", "{}/1.xml"), ("{}/JPEGImages/1.png", "{}/Annotations/1.xml")]
)
def test_pascal_voc_in_split_folders(places, tmp_path):
    """As labelling programs leave it, beside the picture; names come again in each split."""
    for split, kind in (("train", "cat"), ("valid", "dog")):
        image, annotation = (tmp_path / place.format(split) for place in places)
        picture(image)
        annotation.parent.mkdir(exist_ok=True)
        box = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>"
        annotation.write_text(f"<annotation><object><name>{kind}</name>{box}</object></annotation>")
    source = opened(tmp_path)
    assert counts(source) == {"train": 1, "validation": 1} and source.layout == "Pascal VOC"
    for split, category in (("train", 0), ("validation", 1)):
        assert rows(source, split) == [{"objects": {"bbox": [[1, 0, 4, 4]], "category": [category]}}]


def test_xml_of_another_kind_beside_a_picture_is_no_annotation(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "1.xml").write_text("<xmpmeta/>")
    assert opened(tmp_path).layout == "a folder of pictures"


def test_what_a_mac_lays_beside_annotations_is_hidden(tmp_path):
    picture(tmp_path / "JPEGImages" / "1.png")
    for place, text in (("Annotations/1.xml", "<annotation/>"), ("__MACOSX/Annotations/._1.xml", "\0\5")):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(text)
    source = opened(tmp_path)
    assert source.layout == "Pascal VOC" and list(source.account.skipped["hidden"]) == [
        "__MACOSX/Annotations/._1.xml"
    ]


def test_two_annotations_of_one_picture_are_refused(tmp_path):
    picture(tmp_path / "JPEGImages" / "1.png")
    for place in (tmp_path / "Annotations", tmp_path / "old" / "Annotations"):
        place.mkdir(parents=True)
        (place / "1.xml").write_text("<annotation/>")
    with pytest.raises(
        InputValueError, match=r"two files annotate JPEGImages/1.png, .*old/Annotations/1.xml"
    ):
        opened(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_of_class_folders(kind, tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        picture(tmp_path / "plain" / name)
    archive = tmp_path / f"plain.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted((tmp_path / "plain").rglob("*.png")):
                file.write(path, path.relative_to(tmp_path / "plain"))
    else:
        with tarfile.open(archive, f"w:{'gz' if kind.endswith('gz') else ''}") as file:
            file.add(tmp_path / "plain", ".")
    source = opened(archive)
    assert source.told() == "class folders: 1 split (train), 2 classes, 2 pictures"
    assert rows(source, columns=["image"]) == rows(opened(tmp_path / "plain"), columns=["image"])


def test_the_one_folder_of_an_archive_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("cat/1.png", "dog/1.png"):
            file.write(picture(tmp_path / "plain" / name), f"photos/{name}")
        file.writestr("__MACOSX/photos/._1.png", PNG)
    source = opened(tmp_path / "a.zip")
    assert source.told() == "class folders: 1 split (train), 2 classes, 2 pictures"
    assert len(rows(source, columns=["image"])) == 2 and source.account.found == 3


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.tar.gz"])
def test_a_damaged_archive_is_told_in_one_line(name, tmp_path):
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("1.png", PNG * 1000)
    else:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as file:
            file.add(picture(tmp_path / "1.png"), "1.png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputValueError, match=f"{name} cannot be read as an archive"):
        opened(path)


def test_an_archive_cannot_lead_out_of_itself(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("../a.png", PNG)
    with pytest.raises(InputValueError, match="leads out of it"):
        opened(tmp_path / "a.zip")


def test_webdataset(tmp_path):
    picture(tmp_path / "a.png")
    for number in range(2):
        with tarfile.open(tmp_path / f"shard-train-{number:04d}.tar", "w") as file:
            for key in ("0001", "0002"):
                (tmp_path / "a.cls").write_text(str(number))
                file.add(tmp_path / "a.png", f"{key}.png")
                file.add(tmp_path / "a.cls", f"{key}.cls")
    paths = sorted(map(str, tmp_path.glob("*.tar")))
    source = open_source(paths)
    assert source.layout == "WebDataset" and counts(source) == {"train": 4}
    assert [row["label"] for row in rows(source)] == [0, 0, 1, 1]
    assert source.account.found == 8


def test_one_picture(tmp_path):
    picture(tmp_path / "other.png")
    source = opened(picture(tmp_path / "photo.png"))
    assert counts(source) == {"train": 1} and source.account.found == 1


def test_links_are_followed_inside_and_named_outside(tmp_path):
    picture(tmp_path / "elsewhere" / "1.png")
    picture(tmp_path / "plain" / "cat" / "1.png")
    os.symlink(tmp_path / "plain" / "cat", tmp_path / "plain" / "dog")
    os.symlink(tmp_path / "gone", tmp_path / "plain" / "cat" / "2.png")
    source = opened(tmp_path / "plain")
    assert source.told() == "class folders: 1 split (train), 2 classes, 2 pictures"
    assert sorted(source.account.skipped["a broken link"]) == ["cat/2.png", "dog/2.png"]
    os.symlink(tmp_path / "elsewhere", tmp_path / "plain" / "bird")
    with pytest.raises(
        InputValueError, match=r"1 links in .* lead outside of it, the first is bird; add --follow"
    ):
        opened(tmp_path / "plain")
    assert counts(opened(tmp_path / "plain", follow_links=True)) == {"train": 3}


def test_a_link_to_a_folder_above_ends(tmp_path):
    picture(tmp_path / "plain" / "cat" / "1.png")
    os.symlink(tmp_path / "plain", tmp_path / "plain" / "cat" / "up")
    assert counts(opened(tmp_path / "plain")) == {"train": 1}


def test_rows_of_parquet_that_name_files_are_refused(tmp_path):
    secret = picture(tmp_path / "secret.png")
    table = pa.table({"image": [{"bytes": None, "path": str(secret)}]})
    pq.write_table(table, tmp_path / "a.parquet")
    (row,) = rows(opened(tmp_path / "a.parquet"), columns=["image"])
    with pytest.raises(UserError, match="names a file"):
        raise row["image"]


@pytest.mark.parametrize("content", [b"[]", b'{"info": 3}', b"{" * 3000])
def test_metadata_of_others_in_parquet_are_passed_over(content, tmp_path):
    table = pa.table({"image": [PNG]}).replace_schema_metadata({b"huggingface": content})
    pq.write_table(table, tmp_path / "a.parquet")
    assert counts(opened(tmp_path / "a.parquet")) == {"train": 1}


def test_nothing_to_read_says_what_was_seen(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        InputValueError, match=r"no picture in .*1 other files \(\.txt\); understood are a folder"
    ):
        opened(tmp_path)


def test_code_in_a_source_is_not_run(tmp_path):
    """A folder with a script of its own name, as `datasets` once ran it."""
    folder = tmp_path / "s11"
    picture(folder / "a.png")
    (folder / "s11.py").write_text("raise SystemExit('it ran')")
    source = opened(folder)
    assert counts(source) == {"train": 1} and list(source.account.skipped["no picture"]) == ["s11.py"]


names = st.text(st.sampled_from("ab\u00e4 .[]:-_1"), min_size=1, max_size=6).filter(
    lambda name: name.strip(". ")
)
files = st.tuples(
    st.lists(st.one_of(names, st.sampled_from(["train", "test", "val", "cat"])), max_size=3),
    names,
    st.sampled_from([".png", ".jpg", ".txt", "", ".dcm", ".PNG"]),
    st.sampled_from([PNG, b"text"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(files, max_size=8), st.sampled_from([None, "folders", "none"]), st.sampled_from([None, "none"])
)
def test_written_and_skipped_are_all_that_was_found(tmp_path_factory, tree, splits, labels):
    root = tmp_path_factory.mktemp("tree")
    for folders, name, suffix, content in tree:
        path = root.joinpath(*(folder.strip() or "x" for folder in folders), name + suffix)
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    all_files = [path for path in root.rglob("*") if path.is_file()]
    try:
        source = opened(root, splits=splits, labels=labels)
    except InputValueError:
        return  # it says so before any work
    assert source.account.found == len(all_files)
    assert sum(counts(source).values()) + source.account.num_skipped == len(all_files)
    taken = {name for split in source.splits.values() for name in split.names}
    assert not taken & {name for skipped in source.account.skipped.values() for name in skipped}


def test_no_parquet_file_is_read_ahead_of_slow_work(tmp_path):
    groups, rows_a_group, row_bytes = 60, 20, 10_000
    generator = np.random.default_rng(0)
    schema = pa.schema({"image": pa.binary(), "label": pa.int64()})
    with pq.ParquetWriter(tmp_path / "a.parquet", schema, use_dictionary=False) as writer:
        for i in range(groups):
            images = [generator.bytes(row_bytes) for _ in range(rows_a_group)]
            writer.write_table(pa.table({"image": images, "label": [i] * rows_a_group}, schema=schema))
    before = pa.total_allocated_bytes()
    source = opened(tmp_path / "a.parquet")
    for number in range(source.splits["train"].num_parts(0)):
        for _ in batches_of(source, Part("train", 0, number), ["image", "label"]):
            assert pa.total_allocated_bytes() - before < 5 * rows_a_group * row_bytes


def test_a_parquet_file_that_was_cut_off_is_named(tmp_path):
    pq.write_table(pa.table({"image": [bytes(1000)] * 100}), tmp_path / "whole.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((tmp_path / "whole.parquet").read_bytes()[:1000])
    with pytest.raises(InputValueError, match=rf"source: {cut} cannot be read \(.*mend or replace"):
        open_source([str(tmp_path / "whole.parquet"), str(cut)])
