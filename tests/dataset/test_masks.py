"""Masks go from their sources to the published dataset, exactly as their pictures do."""

import io
import json

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value, load_dataset

from hipmr_hf import MixingUp, RandomShuffling, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.cli import main
from hipmr_hf.dataset.rows import RowEncryptionError
from hipmr_hf.dataset.sources.account import account_path
from hipmr_hf.encryption.masks import move_mask
from hipmr_hf.images.label_maps import encode_label_map
from hipmr_hf.images.writing import encode_image
from hipmr_hf.leaks.guard import find_leaks

MIXING = MixingUp(patch_size=8)
CANARY = "john_doe"


def scene(seed: int, size: tuple[int, int] = (40, 56)) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its map of classes."""
    random = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    mask[5:20, 10:30] = 1 + seed % 3
    mask[30:, :7] = 255
    return random.integers(0, 256, (*size, 3), dtype=np.uint8), mask


def plain_rows(count: int = 5, column: str = "segmentation", **more) -> Dataset:
    pictures, masks = zip(*map(scene, range(count)), strict=True)
    files = {"image": map(encode_image, pictures), column: map(encode_label_map, masks)}
    columns = {
        name: [{"bytes": file, "path": f"/home/{CANARY}/{i}.png"} for i, file in enumerate(content)]
        for name, content in files.items()
    }
    features = {name: Image() for name in columns} | {name: Value("string") for name in more}
    return Dataset.from_dict({**columns, **more}, features=Features(features))


def expected(seed: int, mixing: MixingUp = MIXING) -> np.ndarray:
    mask = scene(seed)[1]
    return move_mask(mask, mixing.placement(*mask.shape), sub_patch_grid=mixing.sub_patch_grid)


def write_folder(root, count: int = 4):
    for split in ("train", "test"):
        for i in range(count):
            for folder, file in (
                ("images", encode_image(scene(i)[0])),
                ("masks", encode_label_map(scene(i)[1])),
            ):
                (root / split / folder).mkdir(parents=True, exist_ok=True)
                (root / split / folder / f"{CANARY}_{i}.png").write_bytes(file)
    return root


@pytest.mark.parametrize("streaming", [False, True])
def test_masks_follow_their_pictures_and_carry_nothing_else(streaming):
    plain = plain_rows(patient=["x"] * 5)
    plain = plain.to_iterable_dataset() if streaming else plain
    encrypted = encrypt_dataset(plain, MIXING, mask_column="segmentation")
    assert encrypted.column_names == ["image", "mask"]
    for seed, row in enumerate(encrypted):
        assert row["image"].size == row["mask"].size == (28, 20) and row["mask"].mode == "L"
        np.testing.assert_array_equal(np.asarray(row["mask"]), expected(seed))
    undecoded = encrypted.cast_column("mask", Image(decode=False))
    assert all(row["mask"]["path"] is None for row in undecoded)


def test_the_published_folder_holds_masks_and_says_that_they_are_public(tmp_path):
    encrypted = encrypt_dataset(plain_rows(), MIXING, mask_column="segmentation")
    folder = save_encrypted_dataset(encrypted, MIXING, tmp_path / "encrypted")
    report = find_leaks(folder)
    assert report.leaks == ()
    assert "draw the outline" in " ".join(map(str, report.remarks))
    card = (folder / "README.md").read_text()
    assert "**Masks are public.**" in card and "outline of the scene" in card
    assert "mask` (map of classes, as it is)" in card and "image-segmentation" in card
    assert not [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_without_being_asked_for_no_mask_leaves():
    assert encrypt_dataset(plain_rows(column="mask"), MIXING).column_names == ["image"]
    with pytest.raises(ValueError, match=r"can hold a plain picture.*--mask-column mask"):
        encrypt_dataset(plain_rows(column="mask"), MIXING, keep_columns=["mask"])


@pytest.mark.parametrize(
    ("encryption", "arguments", "message"),
    [
        (RandomShuffling(image_size=32, patch_size=8), {"mask_column": "segmentation"}, "masks mean nothing"),
        (MIXING, {"mask_column": "nothing"}, "'nothing' is not there"),
        (MIXING, {"mask_column": "image"}, "'image' is the image column"),
        (MIXING, {"mask_column": "segmentation", "keep_columns": ["mask"]}, "the name that masks leave with"),
    ],
)
def test_what_does_not_fit_is_one_kind_line_before_any_work(encryption, arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        encrypt_dataset(plain_rows(mask=["text"] * 5), encryption, **arguments)
    assert "\n" not in str(raised.value)


def test_masks_of_another_size_or_none_cost_their_row_alone():
    rows = plain_rows(4).to_list()
    rows[1]["segmentation"] = {"bytes": encode_label_map(np.zeros((40, 40), np.uint8)), "path": None}
    rows[2]["segmentation"] = None
    plain = Dataset.from_list(rows, features=Features({"image": Image(), "segmentation": Image()}))
    with pytest.raises(RowEncryptionError, match=r"mask: it has 40x40 pixels .* and its picture 40x56"):
        encrypt_dataset(plain, MIXING, mask_column="segmentation")
    left = encrypt_dataset(plain, MIXING, mask_column="segmentation", on_error="skip")
    assert len(left) == 2
    np.testing.assert_array_equal(np.asarray(left[1]["mask"]), expected(3))


@pytest.mark.parametrize("layout", ["folders", "parquet", "binary"])
def test_the_command_takes_folders_of_masks_and_columns_of_masks(layout, tmp_path):
    if layout == "folders":
        source = write_folder(tmp_path / "plain")
        (source / "train" / "images" / "alone.png").write_bytes(encode_image(scene(0)[0]))
        (source / "test" / "masks" / "stray.png").write_bytes(encode_label_map(scene(0)[1]))
    else:
        source, rows = (
            tmp_path / "train.parquet",
            plain_rows(4, "mask").cast_column("mask", Image(decode=False)),
        )
        if layout == "binary":  # as other programs write files' bytes
            table = pq.read_table(_parquet(rows, tmp_path))
            masks = table.column("mask").combine_chunks().field("bytes")
            pq.write_table(table.set_column(1, "mask", masks).replace_schema_metadata(None), source)
        else:
            rows.to_parquet(source)
    output = tmp_path / "encrypted"
    command = ["encrypt", str(source), "--output-dir", str(output), "--strategy", "mi", "--patch-size", "8"]
    command += ["--mask-column", "mask", "--on-error", "skip", "--num-proc", "2"]
    assert main(command) == 0
    loaded = load_dataset(str(output), cache_dir=str(tmp_path / "cache"))
    for split in loaded:
        assert loaded[split].column_names == ["image", "mask"] and len(loaded[split]) == 4
        for seed, row in enumerate(loaded[split]):
            np.testing.assert_array_equal(np.asarray(row["mask"]), expected(seed))
    assert find_leaks(output).leaks == ()
    account = json.loads(account_path(output).read_text())
    skipped = {reason: len(names) for reason, names in account["skipped"].items()}
    if layout == "folders":
        assert account["found"] == 18 and account["written"] == {"test": 4, "train": 4}
        assert skipped == {
            "a mask, part of its picture": 8, "a mask without a picture": 1, "without a mask": 1
        }  # fmt: skip
    else:
        assert account["found"] == 4 and skipped == {}


def _parquet(rows: Dataset, folder):
    rows.to_parquet(folder / "whole.parquet")
    return folder / "whole.parquet"


def test_a_folder_with_masks_that_are_not_asked_for_gives_pictures_alone(tmp_path):
    """Not classes called images and masks, whose masks would be taken for pictures."""
    source, output = write_folder(tmp_path / "plain"), tmp_path / "encrypted"
    command = ["encrypt", str(source), "--output-dir", str(output), "--strategy", "mi", "--patch-size", "8"]
    assert main(command) == 0
    account = json.loads(account_path(output).read_text())
    assert account["written"] == {"test": 4, "train": 4}
    assert [len(names) for names in account["skipped"].values()] == [8]
    assert next(iter(account["skipped"])).startswith("a mask that was not asked for")
    assert load_dataset(str(output), split="train", cache_dir=str(tmp_path)).column_names == ["image"]


def png(pixels: np.ndarray) -> dict:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "png")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (png(scene(0, (20, 28))[0]), "may be a plain picture"),
        (png(np.asarray(PIL.Image.fromarray(scene(0, (20, 28))[0]).convert("L"))), "may be a plain picture"),
        (png(scene(0)[1]), "has 40x56 pixels and its picture 20x28"),
        (png(scene(0, (20, 28))[1]) | {"path": "jane.png"}, "path or file name"),
    ],
)
def test_the_guard_takes_masks_for_masks_alone(mask, reason, tmp_path):
    encrypted = encrypt_dataset(plain_rows(3), MIXING, mask_column="segmentation")
    folder = save_encrypted_dataset(encrypted, MIXING, tmp_path / "encrypted")
    (shard,) = (folder / "data").iterdir()
    table = pq.read_table(shard)
    rows = table.to_pylist()
    rows[1]["mask"] = mask
    pq.write_table(table.from_pylist(rows, schema=table.schema), shard)
    leaks = find_leaks(folder).leaks
    assert len(leaks) == 1 and reason in str(leaks[0]) and "column 'mask', 1 of 3 rows (1)" in str(leaks[0])


def test_the_guard_refuses_masks_beside_shuffled_patches(tmp_path):
    encrypted = encrypt_dataset(plain_rows(3), MIXING, mask_column="segmentation")
    folder = save_encrypted_dataset(encrypted, MIXING, tmp_path / "encrypted")
    RandomShuffling(image_size=(20, 28), patch_size=4).save_pretrained(folder)
    assert "tells where they stood" in " ".join(map(str, find_leaks(folder).leaks))
