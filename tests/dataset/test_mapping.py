import functools
import io
import subprocess
import sys
from pathlib import Path

import datasets
import multiprocess
import numpy as np
import PIL.Image
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDataset, List, Value
from measurement_data import PICTURES, needed

import hipmr_hf.dataset.mapping
import hipmr_hf.dataset.rows
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.mapping import RowEncryptionError, encrypt_dataset
from hipmr_hf.dataset.rows import RowEncryption
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.errors import InputValueError
from hipmr_hf.images.reading import read_image

SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
MIXING = MixingUp(patch_size=8)
LABELS = ClassLabel(names=["cat", "dog"])
OBJECTS = {
    "id": List(Value("int64")),
    "bbox": List(List(Value("float64"), length=4)),
    "category": List(LABELS),
}


def picture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def file_of(pixels: np.ndarray, image_format: str = "png", **options) -> dict:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, image_format, **options)
    return {"bytes": buffer.getvalue(), "path": None}


CORRUPT = {"bytes": b"\x89PNG\r\n\x1a\n rubbish", "path": None}
TINY = file_of(picture(0, 4, 4))
FRAMES = file_of(picture(0), "gif", save_all=True, append_images=[PIL.Image.fromarray(picture(1))])
MISSING = {"bytes": None, "path": "/nowhere/john_doe.png"}  # save_to_disk cannot take this one


def dataset_of(images: list, split: str | None = None) -> Dataset:
    rows = {
        "image": images,
        "label": [i % 2 for i in range(len(images))],
        "name": [f"n{i}" for i in range(len(images))],
    }
    features = Features({"image": Image(), "label": LABELS, "name": Value("string")})
    return Dataset.from_dict(rows, features=features, split=split)


def plain_dataset(rows: int = 6, **sizes) -> Dataset:
    return dataset_of([file_of(picture(i, **sizes)) for i in range(rows)])


def on_disk(dataset: Dataset, folder: Path) -> Dataset:
    dataset.save_to_disk(folder)
    return datasets.load_from_disk(folder)


def pixels_of(dataset: Dataset) -> list[np.ndarray]:
    return [read_image(row["image"]["bytes"]) for row in dataset.cast_column("image", Image(decode=False))]


def detection_dataset(objects: list, feature=None) -> Dataset:
    features = Features({"image": Image(), "objects": feature or OBJECTS})
    images = [file_of(picture(i, 36, 52)) for i in range(len(objects))]
    return Dataset.from_dict({"image": images, "objects": objects}, features=features)


# What comes out


def test_rows_are_what_the_encryption_makes_of_each_picture():
    encrypted = encrypt_dataset(plain_dataset(), MIXING)
    assert encrypted.features == Features({"image": Image(), "label": LABELS})
    assert encrypted["label"][:] == [0, 1, 0, 1, 0, 1]
    for i, pixels in enumerate(pixels_of(encrypted)):
        assert (pixels == MIXING(picture(i))).all()


def test_shuffled_rows_hold_the_patches_of_their_picture():
    (pixels,) = pixels_of(encrypt_dataset(plain_dataset(1, height=32, width=32), SHUFFLING))
    assert (
        sorted(pixels.ravel()) == sorted(picture(0, 32, 32).ravel()) and (pixels != picture(0, 32, 32)).any()
    )


def test_pictures_of_many_sizes_stay_in_their_rows():
    sizes = [(40, 48), (24, 16), (40, 48), (64, 9), (24, 16)]
    plain = dataset_of([file_of(picture(i, *size)) for i, size in enumerate(sizes)])
    for i, pixels in enumerate(pixels_of(encrypt_dataset(plain, MIXING))):
        assert (pixels == MIXING(picture(i, *sizes[i]))).all()


def test_large_pictures_are_encrypted_in_small_stacks_with_the_same_result(monkeypatch):
    expected = pixels_of(encrypt_dataset(plain_dataset(), MIXING))
    monkeypatch.setattr(hipmr_hf.dataset.rows, "_STACK_BYTES", 2 * picture(0).nbytes)
    assert all(
        (a == b).all()
        for a, b in zip(expected, pixels_of(encrypt_dataset(plain_dataset(), MIXING)), strict=True)
    )


@pytest.mark.parametrize(("image_format", "name"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_images_are_written_in_the_format_asked_for(image_format, name):
    encrypted = encrypt_dataset(plain_dataset(1), MIXING, image_format=image_format)
    assert encrypted[0]["image"].format == name


def test_no_two_rows_share_a_permutation_also_across_workers():
    same = [file_of(picture(0, 32, 32))] * 40
    shuffled = pixels_of(encrypt_dataset(dataset_of(same), SHUFFLING, num_proc=2))
    assert len({pixels.tobytes() for pixels in shuffled}) == 40


def test_with_a_key_the_nonce_column_decrypts_each_row():
    key = SecretKey.generate()
    encrypted = encrypt_dataset(plain_dataset(height=32, width=32), SHUFFLING, key=key)
    assert encrypted.column_names == ["image", "label", "nonce"] and len(set(encrypted["nonce"][:])) == 6
    for i, (pixels, nonce) in enumerate(zip(pixels_of(encrypted), encrypted["nonce"], strict=True)):
        assert (SHUFFLING.decrypt(pixels, key=key, nonce=nonce) == picture(i, 32, 32)).all()


@pytest.mark.parametrize("num_proc", [None, 2])
def test_no_two_rows_share_a_nonce_also_across_batches_and_workers(num_proc):
    plain = plain_dataset(70, height=32, width=32)
    encrypted = encrypt_dataset(plain, SHUFFLING, key=SecretKey.generate(), num_proc=num_proc)
    assert len(set(encrypted["nonce"][:])) == 70


def test_every_split_is_encrypted_and_stays_a_split():
    plain = DatasetDict(train=plain_dataset(3), test=plain_dataset(2).remove_columns("label"))
    encrypted = encrypt_dataset(plain, SHUFFLING)
    assert {name: split.column_names for name, split in encrypted.items()} == {
        "train": ["image", "label"],
        "test": ["image"],
    }
    one = encrypt_dataset(dataset_of([file_of(picture(0))], split="validation"), SHUFFLING)
    assert str(one.split) == "validation"


def test_an_empty_dataset_comes_out_with_the_encrypted_features():
    encrypted = encrypt_dataset(plain_dataset().select([]), SHUFFLING, key=SecretKey.generate())
    assert len(encrypted) == 0 and encrypted.column_names == ["image", "label", "nonce"]


def test_views_and_formats_of_a_dataset_are_respected():
    plain = plain_dataset().select([4, 1]).with_format("numpy")
    encrypted = encrypt_dataset(plain, MIXING)
    assert (pixels_of(encrypted)[0] == MIXING(picture(4))).all() and encrypted.format["type"] is None


@pytest.mark.parametrize("source", [PIL.Image.fromarray(picture(0)), picture(0)])
def test_pictures_that_were_never_files_are_encrypted(source):
    assert (pixels_of(encrypt_dataset(dataset_of([source]), MIXING))[0] == MIXING(picture(0))).all()


def test_pictures_that_lie_in_files_are_encrypted(tmp_path):
    PIL.Image.fromarray(picture(0)).save(tmp_path / "a.png")
    plain = dataset_of([str(tmp_path / "a.png")])
    assert (pixels_of(encrypt_dataset(plain, MIXING))[0] == MIXING(picture(0))).all()


# Objects


@pytest.mark.parametrize("layout", ["dict of lists", "list of dicts"])
def test_objects_follow_and_leave_in_one_layout(layout):
    objects = [{"id": [1, 2], "bbox": [[8, 8, 16, 8], [50, 0, 2, 8]], "category": [1, 0]}] * 2
    feature = None
    if layout == "list of dicts":
        objects = [
            [dict(zip(o, values, strict=True)) for values in zip(*o.values(), strict=True)] for o in objects
        ]
        feature = List({name: column.feature for name, column in OBJECTS.items()})
    encrypted = encrypt_dataset(detection_dataset(objects, feature), MIXING)
    assert encrypted[1]["objects"] == {"bbox": [[4, 4, 8, 4]], "category": [1], "area": [32]}
    assert encrypted.features["objects"]["category"] == List(LABELS)


def test_dropped_objects_are_counted_in_a_warning_also_from_the_cache(tmp_path, caplog):
    objects = [{"id": [1, 2], "bbox": [[8, 8, 16, 8], [50, 0, 2, 8]], "category": [1, 0]}] * 3
    plain = on_disk(detection_dataset(objects), tmp_path / "plain")
    for _ in range(2):
        caplog.clear()
        encrypt_dataset(plain, MIXING)
        assert [record.getMessage() for record in caplog.records] == [
            "Dropped 3 objects whose area lies outside of the crop."
        ]


@pytest.mark.parametrize("streaming", [False, True])
def test_images_without_objects_stay(streaming):
    objects = [{"id": [], "bbox": [], "category": []}, None]
    plain = detection_dataset(objects)
    encrypted = encrypt_dataset(plain.to_iterable_dataset() if streaming else plain, MIXING)
    assert [row["objects"] for row in encrypted] == [{"bbox": [], "category": [], "area": []}] * 2


@pytest.mark.parametrize(
    ("box_format", "box"), [("xyxy", [8, 8, 24, 16]), ("yolo", [16 / 52, 12 / 36, 16 / 52, 8 / 36])]
)
def test_boxes_of_other_formats_come_to_the_same(box_format, box):
    objects = [{"id": [1], "bbox": [box], "category": [1]}]
    (row,) = encrypt_dataset(detection_dataset(objects), MIXING, box_format=box_format)
    assert row["objects"]["bbox"] == [pytest.approx([4, 4, 8, 4], abs=1e-4)]


def test_boxes_that_cannot_be_cocos_are_refused_and_other_names_of_formats_too():
    for box, named in (([0.2, 0.2, 0.4, 0.2], "--box-format yolo"), ([30, 20, 50, 34], "--box-format xyxy")):
        plain = detection_dataset([{"id": [1], "bbox": [box], "category": [1]}])
        with pytest.raises(RowEncryptionError, match=f"row 0 .*name their format with {named}"):
            encrypt_dataset(plain, MIXING)
        assert len(encrypt_dataset(plain, MIXING, on_error="skip")) == 0
    with pytest.raises(InputValueError, match="box_format: got 'corners', allowed are coco, xyxy"):
        encrypt_dataset(plain, MIXING, box_format="corners")
    with pytest.raises(InputValueError, match="box_format: got 'corners', allowed are coco, xyxy"):
        EncryptionJob(MIXING, box_format="corners")


def test_objects_with_shuffling_are_refused():
    plain = detection_dataset([{"id": [], "bbox": [], "category": []}])
    with pytest.raises(ValueError, match="leave 'objects' out"):
        encrypt_dataset(plain, SHUFFLING)
    assert encrypt_dataset(plain, SHUFFLING, keep_columns=()).column_names == ["image"]


# Rows that cannot be encrypted


BAD_ROWS = {"corrupt": CORRUPT, "tiny": TINY, "frames": FRAMES, "missing": MISSING, "none": None}


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_bad_row_raises_with_its_number(bad, num_proc):
    plain = dataset_of([file_of(picture(0)), file_of(picture(1)), BAD_ROWS[bad], file_of(picture(3))])
    with pytest.raises(RowEncryptionError, match=r"^row 2 \(counted from 0\) cannot be encrypted: "):
        encrypt_dataset(plain, MIXING, num_proc=num_proc)


def test_a_bomb_is_a_bad_row(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(RowEncryptionError, match="decompression bomb"):
        encrypt_dataset(plain_dataset(1), MIXING)


def test_an_image_that_the_format_cannot_hold_is_a_bad_row():
    wide = file_of(np.zeros((8, 33000, 3), np.uint8))
    skipped = []
    encrypted = encrypt_dataset(
        dataset_of([wide, file_of(picture(1))]),
        MIXING,
        image_format="webp",
        on_error="skip",
        on_skip=lambda split, rows: skipped.extend(rows),
    )
    assert len(encrypted) == 1 and skipped == [0]


@pytest.mark.parametrize("num_proc", [None, 2])
def test_skipped_rows_are_listed_by_number_also_from_the_cache(num_proc, tmp_path, caplog):
    images = [CORRUPT, file_of(picture(1)), FRAMES, TINY, file_of(picture(4)), None]
    plain = on_disk(dataset_of(images, split="train"), tmp_path / "plain")
    told = []
    for _ in range(2):
        caplog.clear()
        options = {"num_proc": num_proc, "on_skip": lambda *skipped: told.append(skipped)}
        encrypted = encrypt_dataset(plain, MIXING, on_error="skip", **options)
        assert encrypted["label"][:] == [1, 0] and encrypted.column_names == ["image", "label"]
        assert (pixels_of(encrypted)[1] == MIXING(picture(4))).all()
        (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("hipmr_hf")]
        assert message.startswith("Skipped 4 of 6 rows in train whose image cannot be encrypted: 0, 2, 3, 5.")
    assert told == [("train", [0, 2, 3, 5])] * 2


def test_all_rows_skipped_leave_an_empty_dataset():
    encrypted = encrypt_dataset(dataset_of([CORRUPT, TINY]), MIXING, on_error="skip")
    assert len(encrypted) == 0 and encrypted.column_names == ["image", "label"]


# Streaming


def test_a_stream_is_encrypted_row_by_row_with_known_features():
    stream = plain_dataset(70).to_iterable_dataset(num_shards=2)
    encrypted = encrypt_dataset(stream, MIXING)
    assert encrypted.features == Features({"image": Image(), "label": LABELS})
    rows = list(encrypted)
    assert len(rows) == 70 and all(
        (np.asarray(row["image"]) == MIXING(picture(i))).all() for i, row in enumerate(rows)
    )


def test_a_stream_of_a_generator_of_pil_images_is_encrypted():
    def generate():
        yield {"image": PIL.Image.fromarray(picture(0)), "label": 1}

    features = Features({"image": Image(), "label": LABELS})
    encrypted = encrypt_dataset(IterableDataset.from_generator(generate, features=features), MIXING)
    (row,) = encrypted
    assert row["label"] == 1 and (np.asarray(row["image"]) == MIXING(picture(0))).all()


def test_a_stream_skips_and_tells_while_it_is_read(caplog):
    images = [file_of(picture(0)), CORRUPT, file_of(picture(2)), TINY]
    told = []
    stream = datasets.IterableDatasetDict(train=dataset_of(images).to_iterable_dataset())
    encrypted = encrypt_dataset(
        stream, MIXING, on_error="skip", on_skip=lambda *skipped: told.append(skipped)
    )
    assert told == [] and len(list(encrypted["train"])) == 2
    assert told == [("train", [1, 3])]
    assert "Skipped 2 rows in train" in caplog.text


def test_a_stream_raises_at_a_bad_row():
    encrypted = encrypt_dataset(dataset_of([file_of(picture(0)), TINY]).to_iterable_dataset(), MIXING)
    with pytest.raises(RowEncryptionError, match="row 1 "):
        list(encrypted)


def test_a_stream_with_a_key_carries_nonces():
    key = SecretKey.generate()
    stream = plain_dataset(3, height=32, width=32).to_iterable_dataset()
    for i, row in enumerate(encrypt_dataset(stream, SHUFFLING, key=key)):
        plain = SHUFFLING.decrypt(np.asarray(row["image"]), key=key, nonce=row["nonce"])
        assert (plain == picture(i, 32, 32)).all()


# The cache


def test_a_second_run_comes_from_the_cache_and_any_change_does_not(tmp_path):
    plain = on_disk(plain_dataset(height=32, width=32), tmp_path / "plain")
    key = SecretKey.generate()
    seen: dict[str, bytes] = {}

    def run(name: str, encryption=SHUFFLING, **options) -> bytes:
        result = encrypt_dataset(plain, encryption, **options)
        seen[name] = b"".join(
            row["bytes"] for row in result.cast_column("image", Image(decode=False))["image"]
        )
        return seen[name]

    first = run("one-time")
    assert run("one-time") == first
    keyed = run("keyed", key=key)
    assert run("keyed", key=SecretKey(key._secret)) == keyed
    run("another key", key=SecretKey.generate())
    run("another setting", RandomShuffling(image_size=32, patch_size=16))
    run("another format", image_format="webp")
    run("another quality", image_format="jpeg", jpeg_quality=80)
    run("another quality", image_format="jpeg", jpeg_quality=81)
    run("another policy", on_error="skip")
    run("other columns", keep_columns=())
    assert len(set(seen.values())) == len(seen)


def test_another_release_does_not_use_the_cache(tmp_path, monkeypatch):
    plain = on_disk(plain_dataset(height=32, width=32), tmp_path / "plain")
    first = pixels_of(encrypt_dataset(plain, SHUFFLING))
    other_release = functools.partial(RowEncryption, version="0.0.0")
    monkeypatch.setattr(hipmr_hf.dataset.mapping, "RowEncryption", other_release)
    assert (first[0] != pixels_of(encrypt_dataset(plain, SHUFFLING))[0]).any()


def test_workers_share_the_cache_of_one_process(tmp_path):
    plain = on_disk(plain_dataset(height=32, width=32), tmp_path / "plain")
    first = pixels_of(encrypt_dataset(plain, SHUFFLING))
    again = pixels_of(encrypt_dataset(plain, SHUFFLING, num_proc=2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


# Workers


WORKER_PROBE = """
import sys
import numpy as np
import hipmr_hf.dataset.rows as rows
from datasets import Dataset, Features, Image, Value
from hipmr_hf.dataset.mapping import encrypt_dataset
from hipmr_hf.encryption import MixingUp

assert "torch" not in sys.modules and "transformers" not in sys.modules
make = rows.RowEncryption._write

def tell(self, row):
    with open(sys.argv[1], "a") as log:
        log.write(f"{__import__('os').getpid()} {'torch' in sys.modules} {'transformers' in sys.modules}\\n")
    return make(self, row)

rows.RowEncryption._write = tell
images = [np.zeros((16, 16, 3), np.uint8)] * 4
plain = Dataset.from_dict({"image": images}, features=Features({"image": Image()}))
encrypt_dataset(plain, MixingUp(patch_size=8), num_proc=2)
with open(sys.argv[1], "a") as log:
    log.write(f"main {'torch' in sys.modules} {'transformers' in sys.modules}\\n")
"""


def test_neither_workers_nor_the_main_process_import_torch(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", WORKER_PROBE, str(log)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({process for process, *_ in lines}) == 3 and len(lines) == 5
    assert {flag for _, *flags in lines for flag in flags} == {"False"}


def test_workers_encrypt_with_the_key_of_their_parent():
    key = SecretKey.generate()
    encrypted = encrypt_dataset(plain_dataset(height=32, width=32), SHUFFLING, key=key, num_proc=2)
    for i, (pixels, nonce) in enumerate(zip(pixels_of(encrypted), encrypted["nonce"], strict=True)):
        assert (SHUFFLING.decrypt(pixels, key=key, nonce=nonce) == picture(i, 32, 32)).all()


def test_a_key_with_workers_that_are_not_forked_is_refused_up_front(monkeypatch):
    monkeypatch.setattr(multiprocess, "get_start_method", lambda allow_none=False: "spawn")
    with pytest.raises(ValueError, match="workers start with 'spawn'"):
        encrypt_dataset(plain_dataset(), SHUFFLING, key=SecretKey.generate(), num_proc=2)


# Arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"encryption": "rs"}, TypeError, "encryption: got str"),
        ({"image_column": "picture"}, ValueError, "image_column: 'picture' is not there"),
        ({"image_column": "label"}, ValueError, "expected an Image"),
        ({"keep_columns": ("labels",)}, ValueError, "keep_columns: no column 'labels'"),
        ({"keep_columns": "label"}, TypeError, "keep_columns: got 'label'"),
        ({"keep_columns": None}, TypeError, "keep_columns: got None"),
        ({"keep_columns": ("image",)}, ValueError, "always leaves, but only encrypted"),
        ({"image_format": "bmp"}, ValueError, "image_format: got 'bmp'"),
        ({"jpeg_quality": 0}, ValueError, "jpeg_quality: got 0"),
        ({"num_proc": 0}, ValueError, "num_proc: got 0"),
        ({"on_error": "ignore"}, ValueError, "on_error: got 'ignore'"),
        ({"encryption": MIXING, "key": SecretKey.generate()}, ValueError, "draw no randomness"),
        ({"dataset": [1, 2]}, TypeError, "dataset: got list"),
        ({"dataset": plain_dataset().to_iterable_dataset(), "num_proc": 2}, ValueError, "streaming"),
        ({"dataset": plain_dataset().cast_column("image", Image(mode="L"))}, ValueError, "mode 'L'"),
        ({"dataset": plain_dataset().with_transform(lambda batch: batch)}, ValueError, "set_transform"),
        (
            {"dataset": plain_dataset().to_iterable_dataset().map(lambda row: row)},
            ValueError,
            "features are unknown",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_remedy(options, error, message):
    options = {"dataset": plain_dataset(), "encryption": SHUFFLING, **options}
    with pytest.raises(error, match=message):
        encrypt_dataset(**options)


def test_all_splits_are_checked_before_the_first_is_encrypted(monkeypatch):
    monkeypatch.setattr(hipmr_hf.dataset.rows, "read_image", lambda image: pytest.fail("work was done"))
    plain = DatasetDict(train=plain_dataset(), test=plain_dataset().remove_columns("image"))
    with pytest.raises(ValueError, match="image_column"):
        encrypt_dataset(plain, SHUFFLING)


def test_progress_names_the_split(monkeypatch):
    seen = []
    mapped = Dataset.map
    monkeypatch.setattr(
        Dataset, "map", lambda self, *args, **kw: seen.append(kw["desc"]) or mapped(self, *args, **kw)
    )
    encrypt_dataset(DatasetDict(train=plain_dataset(1)), SHUFFLING)
    assert seen == ["Encrypting (train)"]


# Real data


@needed
def test_blood_smears_keep_their_boxes(tmp_path):
    plain = datasets.load_dataset(
        "parquet",
        data_files=str(PICTURES / "bccd_test.parquet"),
        split="train",
        streaming=True,
    ).take(8)
    mixing = MixingUp(patch_size=16)
    for plain_row, row in zip(plain, encrypt_dataset(plain, mixing), strict=True):
        assert row["image"].size == (320, 240)
        np.testing.assert_allclose(
            row["objects"]["bbox"], np.array(plain_row["objects"]["bbox"]) / 2, atol=1e-4
        )
        assert row["objects"]["category"] == plain_row["objects"]["category"]


@needed
def test_satellite_tiles_keep_their_labels(tmp_path):
    files = str(PICTURES / "eurosat_test_1500.parquet")
    plain = datasets.load_dataset("parquet", data_files=files, split="train[:64]", cache_dir=tmp_path)
    encrypted = encrypt_dataset(plain, RandomShuffling(image_size=64, patch_size=8))
    assert (
        encrypted["label"][:] == plain["label"][:] and encrypted.features["label"] == plain.features["label"]
    )
