"""Every leak that the guard claims to find, planted one by one in a dataset that is clean without it."""

import base64
import datetime
import io
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Array3D, ClassLabel, Dataset, DatasetInfo, Features, Image, Value

from hipmr_hf.dataset.mapping import encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.images.chunks import foreign_parts
from hipmr_hf.images.writing import encode_image
from hipmr_hf.leaks import guard
from hipmr_hf.leaks.borders import PLAIN_RATIO, border_ratio
from hipmr_hf.leaks.guard import LeakError, check_no_leaks, find_leaks

SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
SHARD = "data/train-00000-of-00001.parquet"


def smooth(seed: int) -> np.ndarray:
    """A picture whose pixels continue each other, as a photograph's do: uint8 (32, 32, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(PIL.Image.fromarray(coarse).resize((32, 32), PIL.Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate()


@pytest.fixture
def clean(tmp_path, key):
    """A folder as `hipmr encrypt` leaves it."""
    features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    labels = [0, 1, 1, 0, 1, 0, 0, 1, 0, 1]
    plain = Dataset.from_dict({"image": [smooth(i) for i in range(10)], "label": labels}, features=features)
    return save_encrypted_dataset(encrypt_dataset(plain, SHUFFLING, key=key), SHUFFLING, tmp_path / "set")


def change(folder, edit, metadata=None) -> None:
    """Rewrite the shard after `edit` has changed its columns, a dict of lists."""
    table = pq.read_table(folder / SHARD)
    columns = table.to_pydict()
    extra = edit(columns) or {}
    fields = [table.schema.field(name) for name in columns if name in table.schema.names]
    schema = pa.schema([*fields, *(pa.field(name, kind) for name, kind in extra.items())])
    kept = table.schema.metadata if metadata is None else metadata
    pq.write_table(pa.table(columns, schema=schema).replace_schema_metadata(kept), folder / SHARD)


def reasons(folder, **options) -> str:
    return "\n".join(map(str, find_leaks(folder, **options).leaks))


def test_a_clean_folder_has_no_leaks(clean, key):
    report = check_no_leaks(clean, keys=[key])
    assert report.leaks == () and report.num_rows == 10
    assert str(report).splitlines() == [
        "note train, column 'label': its 2 class names are published; check that none is private.",
        "10 rows, 0 leaks, 1 notes",
    ]


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_what_is_encrypted_in_any_format_is_clean(image_format):
    assert foreign_parts(encode_image(smooth(0), image_format)) == []


# In the image files


def image_file(image_format: str, pixels: np.ndarray | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(SHUFFLING(smooth(0)) if pixels is None else pixels).save(
        buffer, image_format, **options
    )
    return buffer.getvalue()


def exif() -> PIL.Image.Exif:
    tags = PIL.Image.Exif()
    tags[0x013B] = "John Doe"
    return tags


ICC = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
TEXT = PIL.PngImagePlugin.PngInfo()
TEXT.add_text("Author", "John Doe")


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (image_file("png", exif=exif()), "eXIf"),
        (image_file("png", icc_profile=ICC), "iCCP"),
        (image_file("png", pnginfo=TEXT), "tEXt"),
        (image_file("png") + b"John Doe", "bytes after the end"),
        (image_file("jpeg", exif=exif()), "EXIF or XMP"),
        (image_file("jpeg", xmp=b"<x>John Doe</x>"), "EXIF or XMP"),
        (image_file("jpeg", icc_profile=ICC), "ICC profile"),
        (image_file("jpeg", comment="John Doe"), "comment"),
        (image_file("jpeg") + b"John Doe", "bytes after the end"),
        (image_file("webp", lossless=True, exif=exif()), "EXIF"),
        (image_file("webp", lossless=True, xmp=b"<x>John Doe</x>"), "XMP"),
        (image_file("webp", lossless=True, icc_profile=ICC), "ICCP"),
        (image_file("webp", lossless=True) + b"John Doe", "bytes after the end"),
        (image_file("bmp"), "a format that is not PNG, JPEG or WebP"),
        (image_file("png")[:60], "a format that is not PNG, JPEG or WebP, or damage"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_metadata_in_an_image_file_are_found(clean, file, part):
    change(clean, lambda columns: columns["image"].__setitem__(3, {"bytes": file, "path": None}))
    found = reasons(clean)
    assert f"the image file carries {part}" in found and "1 of 10 rows (3)" in found
    assert "John" not in found


def test_a_path_or_a_missing_file_is_found(clean):
    def edit(columns):
        columns["image"][2]["path"] = "john_doe_001.jpg"
        columns["image"][4]["bytes"] = None

    change(clean, edit)
    assert "rows (2): the image has a path or file name" in reasons(clean)
    assert "rows (4): the image has no bytes" in reasons(clean)
    assert "john" not in reasons(clean)


# Plain pictures


def test_a_second_image_column_is_found(clean):
    def edit(columns):
        columns["original"] = columns["image"]
        return {"original": pa.struct({"bytes": pa.binary(), "path": pa.string()})}

    change(clean, edit)
    assert "more than one image column" in reasons(clean)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([b"pixels"] * 10, pa.binary()),
        ([[[0, 255]]] * 10, pa.list_(pa.list_(pa.uint8()))),
        ([[{"thumbnail": b"pixels"}]] * 10, pa.list_(pa.struct({"thumbnail": pa.binary()}))),
    ],
)
def test_other_columns_that_can_hold_a_picture_are_found(clean, values, kind):
    def edit(columns):
        columns["thumbnail"] = values
        return {"thumbnail": kind}

    change(clean, edit)
    assert "can hold a plain picture" in reasons(clean)


def test_an_array_column_is_found(clean):
    features = Features({"image": Image(), "pixels": Array3D((2, 2, 3), "uint8")})
    rows = {"image": [SHUFFLING(smooth(0))], "pixels": [np.zeros((2, 2, 3), np.uint8)]}
    Dataset.from_dict(rows, features=features).to_parquet(clean / SHARD)
    assert "can hold a plain picture" in reasons(clean)


def test_an_array_column_is_found_before_anybody_imports_datasets(clean):
    features = Features({"image": Image(), "pixels": Array3D((2, 2, 3), "float32")})
    rows = {"image": [SHUFFLING(smooth(0))], "pixels": [np.zeros((2, 2, 3), np.float32)]}
    Dataset.from_dict(rows, features=features).to_parquet(clean / SHARD)
    code = "import sys; from hipmr_hf.leaks.guard import find_leaks; print(find_leaks(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, clean], capture_output=True, text=True, check=True)
    assert "can hold a plain picture" in done.stdout


@pytest.mark.parametrize("at", [0, 90, 100, 128, 190, 460])
def test_a_key_is_found_wherever_a_large_file_is_cut(at, clean, key, monkeypatch):
    monkeypatch.setattr(guard, "_READ_BYTES", 70)
    monkeypatch.setattr(guard, "_PIECE_BYTES", 100)
    secret = key._secret.hex().encode()
    (clean / "notes.txt").write_bytes(b"." * at + secret + b"." * (500 - at))
    found = find_leaks(clean, keys=[key]).leaks
    assert [str(leak) for leak in found if leak.place == "notes.txt"] == [
        "notes.txt: it holds a secret key; remove it, and use another key from now on."
    ]


def test_plain_pictures_in_place_of_the_encrypted_ones_are_found(clean):
    def edit(columns):
        for i in range(10):
            columns["image"][i] = {"bytes": encode_image(smooth(i)), "path": None}

    change(clean, edit)
    assert "the patches continue each other, so the pictures look plain" in reasons(clean)


def test_a_picture_of_another_size_is_found(clean):
    file = image_file("png", np.zeros((64, 48, 3), np.uint8))
    change(clean, lambda columns: columns["image"].__setitem__(9, {"bytes": file, "path": None}))
    assert "rows (9): 64x48 pixels do not fit the settings" in reasons(clean)


def test_plain_and_encrypted_photographs_are_told_apart(photo):
    for encryption in (
        RandomShuffling(),
        RandomShuffling(interval=4, drop_ratio=0.5),
        MixingUp(image_size=224),
        MixingUp(image_size=224, sub_patch_symmetries=True, patch_normalization=True),
    ):
        ratio = border_ratio(encryption(photo), encryption.encrypted_patch_size)
        assert ratio is None or ratio > 1.5  # None: too rough to tell, as this one is once it is normalised
    assert border_ratio(RandomShuffling().prepare(photo), 16) < PLAIN_RATIO


def test_missing_or_foreign_settings_are_found(clean):
    MixingUp(image_size=64, patch_size=8).save_pretrained(clean)
    assert reasons(clean) == ""  # 32 x 32 fits these as well; nothing can tell
    (clean / "encryption_config.json").write_text("{}")
    assert "encryption_config.json: cannot be read" in reasons(clean)
    (clean / "encryption_config.json").unlink()
    assert "encryption_config.json: missing" in reasons(clean)


# Keys and nonces


def test_nonces_that_are_missing_short_or_used_twice_are_found(clean):
    def edit(columns):
        columns["nonce"][1] = None
        columns["nonce"][2] = b"short"
        columns["nonce"][4] = columns["nonce"][3]

    change(clean, edit)
    assert "2 of 10 rows (1, 2): no nonce of 16 bytes" in reasons(clean)
    assert "1 nonces come more than once" in reasons(clean)


def test_keyed_rows_without_a_nonce_column_are_found(clean, key):
    change(clean, lambda columns: columns.pop("nonce") and None)
    assert reasons(clean) == ""  # a one-time encryption has none
    (clean / "README.md").write_text(f"---\nencryption:\n  key_id: {key.key_id}\n---\n")
    assert "'nonce': missing, though the rows were encrypted with a key" in reasons(clean)


@pytest.mark.parametrize("form", ["raw", "base64", "hex"])
def test_a_key_in_a_value_is_found(clean, key, form):
    secret = key._secret
    value = {"raw": secret, "base64": base64.b64encode(secret), "hex": secret.hex().encode()}[form]
    file = image_file("png") + value
    change(clean, lambda columns: columns["image"].__setitem__(0, {"bytes": file, "path": None}))
    assert "holds a secret key" in reasons(clean, keys=[key])


def test_a_key_file_a_token_and_a_local_path_are_found_in_any_file(clean, key):
    key.save(clean / "notes.txt")
    assert "notes.txt: it holds a secret key" in reasons(clean)
    (clean / "notes.txt").unlink()
    (clean / "README.md").write_text(f"hf_{'a' * 34}")
    assert "README.md: it holds what looks like an access token" in reasons(clean)
    (clean / "README.md").write_text("from /home/john/patients/1.png")
    assert "README.md: it holds a path of a local file system" in reasons(clean)
    (clean / "README.md").write_text("The data are at https://example.org/data/home.")
    assert reasons(clean) == ""


# Names


@pytest.mark.parametrize(
    "text", ["john_doe.jpg", "/home/john/scan", "C:\\Users\\john\\scan", "scans/1.dcm", "s3://bucket/1"]
)
def test_a_file_name_or_a_path_in_a_column_is_found(clean, text):
    def edit(columns):
        columns["source"] = ["fine"] * 9 + [text]
        return {"source": pa.string()}

    change(clean, edit)
    assert "column 'source', 1 of 10 rows (9): a path, an address or a file name" in reasons(clean)
    assert text not in reasons(clean)


def test_metadata_of_the_schema_are_found(clean):
    change(clean, lambda columns: None, metadata={b"pandas": b"{}"})
    assert "an entry 'pandas'" in reasons(clean)
    info = {"info": {"features": {}, "description": "of John Doe"}}
    change(clean, lambda columns: None, metadata={b"huggingface": json.dumps(info).encode()})
    assert "more than the features" in reasons(clean)
    change(clean, lambda columns: None, metadata={b"huggingface": b'{"info": {}, "fingerprint": "f"}'})
    assert "more than the features" in reasons(clean)


def test_what_datasets_itself_writes_passes_the_metadata_check(clean):
    features = Features({"image": Image(), "label": Value("int64")})
    info = DatasetInfo(description="of John Doe", features=features)
    rows = {"image": [SHUFFLING(smooth(0))], "label": [0]}
    Dataset.from_dict(rows, features=features, info=info).to_parquet(clean / SHARD)
    assert "metadata" not in reasons(clean)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("john_doe.png", "a picture file beside the data"),
        ("training_args.bin", "a pickled file"),
        ("data/notes.docx", "nobody expects this file"),
        ("data/john.parquet", "its name is not that of a shard"),
    ],
)
def test_files_that_do_not_belong_there_are_found(clean, name, reason):
    (clean / name).write_bytes((clean / SHARD).read_bytes() if name.endswith("parquet") else b"x")
    assert f"{name}: {reason}" in reasons(clean)


# Remarks


def remarks(columns: dict[str, list], tmp_path) -> str:
    rows = {"image": [SHUFFLING(smooth(i)) for i in range(10)], **columns}
    rows["image"] = [PIL.Image.fromarray(image) for image in rows["image"]]
    plain = Dataset.from_dict(rows)
    (tmp_path / "set" / "data").mkdir(parents=True)
    plain.to_parquet(tmp_path / "set" / SHARD)
    SHUFFLING.save_pretrained(tmp_path / "set")
    report = find_leaks(tmp_path / "set")
    assert not report.leaks, report
    return str(report)


@pytest.mark.parametrize(
    ("columns", "remark"),
    [
        ({"patient_name": ["a", "b"] * 5}, "'patient_name': its name suggests"),
        ({"code": [f"K{i}" for i in (5, 3, 8, 1, 9, 2, 7, 4, 6, 0)]}, "a value of its own, like an id"),
        ({"finding": ["seen by somebody on the third floor"] * 10}, "'finding': it holds free text"),
        ({"stage": [0] * 5 + [1] * 5}, "the rows are in its order"),
        ({"taken": [datetime.date(2020, 1, 1)] * 10}, "'taken': it holds times"),
    ],
)
def test_columns_that_could_identify_people_are_remarked_on(columns, remark, tmp_path):
    assert remark in remarks(columns, tmp_path)


def test_plain_columns_pass_without_a_remark(tmp_path):
    assert remarks({"grade": [1, 0] * 5, "score": [0.3, 0.1] * 5}, tmp_path).endswith("0 leaks, 0 notes")


# Its uses


def test_a_leak_is_refused_with_the_first_reason(clean):
    (clean / "john_doe.png").touch()
    with pytest.raises(LeakError, match=r"must not be published: .*a picture file beside the data .*1 leaks"):
        check_no_leaks(clean)
