"""What must not come out of `encrypt_dataset`: for each leak a test that fails without its remedy."""

import io
import logging
import pickle
import shutil
import tempfile
import traceback
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import PIL.ImageCms
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetInfo, Features, Image, IterableDataset, List, Value

from hipmr_hf.dataset.mapping import RowEncryptionError, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.encryption import MixingUp, RandomShuffling
from hipmr_hf.encryption.keys import SecretKey

CANARY = "john_doe_canary"
SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
MIXING = MixingUp(patch_size=8)
FORMATS = ("png", "jpeg", "webp")


def picture(seed: int = 0) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def file_with_metadata(image_format: str = "jpeg", seed: int = 0) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x013B] = CANARY
    options = {
        "exif": exif,
        "icc_profile": PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes(),
    }
    if image_format == "jpeg":
        options |= {"comment": CANARY, "xmp": f"<x>{CANARY}</x>".encode()}
    buffer = io.BytesIO()
    picture(seed).save(buffer, image_format, **options)
    return buffer.getvalue()


def named_files(folder: Path, count: int = 3) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{CANARY}_{i}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(file_with_metadata(seed=i))
    return [str(path) for path in paths]


def telling_dataset(images: list, in_folder: Path | None = None) -> Dataset:
    """A dataset that names its source in every place it can."""
    features = Features({"image": Image(), "patient": Value("string"), "label": Value("int64")})
    info = DatasetInfo(
        description=CANARY,
        citation=CANARY,
        homepage=CANARY,
        license=CANARY,
        features=features,
        builder_name=CANARY,
        dataset_name=CANARY,
        config_name=CANARY,
        version="1.2.3",
        download_checksums={f"/data/{CANARY}.zip": {"num_bytes": 1, "checksum": None}},
        download_size=1,
    )
    rows = {"image": images, "patient": [CANARY] * len(images), "label": [0] * len(images)}
    plain = Dataset.from_dict(rows, info=info)
    if in_folder is None:
        return plain
    plain.save_to_disk(in_folder)
    return datasets.load_from_disk(in_folder)


def contents(folder: Path) -> bytes:
    """All that can be read from the files of a folder, compressed pages of parquet included."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            parts.append(path.read_bytes())
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            parts += [repr(table.to_pylist()).encode(), repr(table.schema.metadata).encode()]
    return b"\n".join(parts)


def published(encrypted, folder: Path) -> bytes:
    """All that any way of publishing writes."""
    if isinstance(encrypted, Dataset):
        encrypted.save_to_disk(folder / "arrow")
        (folder / "plain parquet").mkdir()
        encrypted.to_parquet(folder / "plain parquet" / "0.parquet")
    save_encrypted_dataset(encrypted, MIXING, folder / "ours")
    return contents(folder)


def kind(plain: Dataset, streaming: bool):
    return plain.to_iterable_dataset() if streaming else plain


# Trap 1: the plain picture, stored in place of the encrypted one


@pytest.mark.parametrize("streaming", [False, True])
def test_images_are_new_files_without_a_path(streaming, tmp_path):
    plain = telling_dataset(named_files(tmp_path / "source"))
    encrypted = encrypt_dataset(kind(plain, streaming), MIXING)
    undecoded = list(encrypted.with_format("arrow").iter(batch_size=1))
    for i, table in enumerate(undecoded):
        (image,) = table.column("image").to_pylist()
        assert image["path"] is None and PIL.Image.open(io.BytesIO(image["bytes"])).size == (16, 16)
        assert (
            image["bytes"]
            != Path(plain.cast_column("image", Image(decode=False))[i]["image"]["path"]).read_bytes()
        )


@pytest.mark.parametrize("streaming", [False, True])
def test_an_encrypted_image_that_was_opened_from_a_file_is_not_stored_as_that_file(streaming, tmp_path):
    (path,) = named_files(tmp_path / "source", 1)
    features = Features({"image": Image()})
    opened = {"image": PIL.Image.open(path)}
    if streaming:
        plain = IterableDataset.from_generator(lambda: iter([opened]), features=features)
    else:
        plain = Dataset.from_dict({"image": [opened["image"]]}, features=features)
    assert opened["image"].filename == path
    output = published(encrypt_dataset(plain, MIXING), tmp_path / "out")
    assert CANARY.encode() not in output and Path(path).read_bytes() not in output


@pytest.mark.parametrize("num_proc", [None, 2])
def test_no_file_that_outlives_the_run_holds_a_plain_picture_or_a_name(num_proc, tmp_path, monkeypatch):
    # Not in tmp_path, whose long name does not fit into the address of the workers' socket.
    temporary = Path(tempfile.mkdtemp())
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    files = [file_with_metadata(seed=i) for i in range(3)]
    plain = telling_dataset([{"bytes": file, "path": None} for file in files], tmp_path / "plain")
    before = set((tmp_path / "plain").iterdir())
    save_encrypted_dataset(encrypt_dataset(plain, MIXING, num_proc=num_proc), MIXING, tmp_path / "out")
    (tmp_path / "new").mkdir()
    for path in set((tmp_path / "plain").iterdir()) - before:
        path.rename(tmp_path / "new" / path.name)
    written = contents(tmp_path / "new") + contents(temporary) + contents(tmp_path / "out")
    assert any((tmp_path / "new").iterdir())  # the cache of the encrypted rows
    assert CANARY.encode() not in written
    assert not any(file[len(file) // 2 :][:64] in written for file in files)
    shutil.rmtree(temporary)


def test_columns_that_can_hold_a_picture_are_never_kept():
    plain = Dataset.from_dict(
        {
            "image": [picture()],
            "scan": [picture()],
            "raw": [b"1"],
            "masks": [{"all": [picture()]}],
            "grid": [[[1]]],
        },
        features=Features(
            {
                "image": Image(),
                "scan": Image(decode=False),
                "raw": Value("binary"),
                "masks": {"all": List(Image())},
                "grid": datasets.Array2D((1, 1), "uint8"),
            }
        ),
    )
    for name in ("scan", "raw", "masks", "grid"):
        with pytest.raises(ValueError, match=f"column '{name}' .* can hold a plain picture"):
            encrypt_dataset(plain, MIXING, keep_columns=(name,))
    with pytest.raises(ValueError, match="only encrypted"):
        encrypt_dataset(plain, MIXING, keep_columns=("image",))


# Trap 2: names, columns and metadata that travel along


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("image_format", FORMATS)
def test_no_name_column_or_metadata_of_the_source_is_published(streaming, image_format, tmp_path):
    plain = telling_dataset(named_files(tmp_path / "source"))
    encrypted = encrypt_dataset(kind(plain, streaming), MIXING, image_format=image_format)
    output = published(encrypted, tmp_path / "out")
    for canary in (CANARY, "patient", "1.2.3", str(tmp_path), "Exif", "ICC_PROFILE", "iCCP", "ICCP", "xmp"):
        assert canary.encode() not in output
    assert set(next(iter(encrypted))) == {"image", "label"}


@pytest.mark.parametrize("from_cache", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
def test_the_info_forgets_the_source_and_the_source_keeps_it(streaming, from_cache, tmp_path):
    plain = telling_dataset([picture()], tmp_path / "plain")
    for _ in range(1 + from_cache):
        encrypted = encrypt_dataset(kind(plain, streaming), MIXING)
    assert encrypted.info == DatasetInfo(features=encrypted.features)
    assert plain.info.description == CANARY and plain.info.features["patient"] == Value("string")


def test_fields_of_objects_that_name_the_source_stay_behind(tmp_path):
    fields = {"bbox": List(List(Value("float32"), length=4)), "category": List(Value("int64"))}
    fields |= {
        "id": List(Value("int64")),
        "file": List(Value("string")),
        "segmentation": List(List(Value("float32"))),
    }
    objects = {
        "bbox": [[8, 8, 8, 8]],
        "category": [1],
        "id": [918273645],
        "file": [CANARY],
        "segmentation": [[1.0]],
    }
    plain = Dataset.from_dict(
        {"image": [picture()], "objects": [objects]}, features=Features({"image": Image(), "objects": fields})
    )
    encrypted = encrypt_dataset(plain, MIXING)
    assert set(encrypted.features["objects"]) == {"bbox", "category", "area"}
    assert CANARY.encode() not in published(encrypted, tmp_path / "out")


# Trap 3: lossy re-saving of an image that came from a JPEG file


@pytest.mark.parametrize("streaming", [False, True])
def test_a_picture_from_a_jpeg_file_is_stored_without_further_loss(streaming, tmp_path):
    plain = telling_dataset(named_files(tmp_path / "source", 1))
    expected = MIXING(np.asarray(plain[0]["image"]))
    save_encrypted_dataset(encrypt_dataset(kind(plain, streaming), MIXING), MIXING, tmp_path / "out")
    stored = Dataset.from_parquet(
        str(next((tmp_path / "out" / "data").iterdir())), cache_dir=str(tmp_path / "c")
    )
    assert stored[0]["image"].format == "PNG" and (np.asarray(stored[0]["image"]) == expected).all()


# Trap 4: the key and the cache


def test_a_changed_key_does_not_return_the_stale_result_and_no_key_is_written(tmp_path):
    plain = telling_dataset([picture(i) for i in range(3)], tmp_path / "plain")
    keys = [SecretKey.generate() for _ in range(2)]
    results = [encrypt_dataset(plain, SHUFFLING, key=key) for key in keys]
    for key, result in zip(keys, results, strict=True):
        for i, row in enumerate(result):
            decrypted = SHUFFLING.decrypt(np.asarray(row["image"]), key=key, nonce=row["nonce"])
            assert (decrypted == np.asarray(picture(i))).all()
    for key, result in zip(keys, results, strict=True):
        written = contents(tmp_path) + pickle.dumps(result) + repr(result).encode()
        assert key._secret not in written and key._secret.hex().encode() not in written


def test_no_key_is_in_what_is_sent_to_workers_hashed_or_printed(monkeypatch):
    key = SecretKey.generate()
    seen = []
    mapped = Dataset.map

    def spy(self, function, **options):
        seen.append(datasets.utils._dill.dumps((function, options)) + repr((function, options)).encode())
        return mapped(self, function, **options)

    monkeypatch.setattr(Dataset, "map", spy)
    encrypt_dataset(telling_dataset([picture()]), SHUFFLING, key=key._secret)
    assert len(seen) == 1 and key.key_id.encode() in seen[0]
    assert key._secret not in seen[0] and key._secret.hex().encode() not in seen[0]
    assert repr(key._secret).encode() not in seen[0]


def test_a_one_time_permutation_is_not_repeated_in_a_stream():
    plain = telling_dataset([picture()]).to_iterable_dataset()
    encrypted = encrypt_dataset(plain, SHUFFLING)
    first, second = (np.asarray(next(iter(encrypted))["image"]) for _ in range(2))
    assert (first != second).any()


# Trap 5: the settings file


def test_the_saved_settings_hold_no_key_and_no_nonce(tmp_path):
    key = SecretKey.generate()
    encrypted = encrypt_dataset(telling_dataset([picture()]), SHUFFLING, key=key)
    folder = save_encrypted_dataset(encrypted, SHUFFLING, tmp_path / "out")
    text = (folder / "encryption_config.json").read_text()
    assert key._secret.hex() not in text and key.key_id not in text
    assert not {"key", "nonce", "seed"} & set(SHUFFLING.to_dict())
    assert key._secret not in contents(folder) and key.key_id.encode() not in contents(folder)


# Errors and logs


def bad_files(folder: Path) -> list[str | dict]:
    folder.mkdir()
    names = [folder / f"{CANARY}_{i}.jpg" for i in range(3)]
    names[0].write_bytes(file_with_metadata()[:700])
    names[1].write_text(CANARY)
    return [*map(str, names[:2]), {"bytes": None, "path": str(names[2])}]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("num_proc", [None, 2])
def test_errors_tell_the_row_and_no_path_name_or_metadata(which, num_proc, tmp_path, caplog, capfd):
    images = [picture(), bad_files(tmp_path / f"{CANARY}_folder")[which]]
    plain = telling_dataset(images)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RowEncryptionError, match="row 1 ") as caught:
        encrypt_dataset(plain, MIXING, num_proc=num_proc)
    report = "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(capfd.readouterr())
    assert CANARY not in report and str(tmp_path) not in report
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error.args)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("streaming", [False, True])
def test_skipped_rows_are_told_without_path_name_or_metadata(streaming, tmp_path, caplog, capfd):
    plain = telling_dataset([picture(), *bad_files(tmp_path / f"{CANARY}_folder")])
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    encrypted = encrypt_dataset(kind(plain, streaming), MIXING, on_error="skip")
    assert len(list(encrypted)) == 1 and "1, 2, 3" in caplog.text
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


# What the caller must do, as the documentation says


def test_loading_without_a_plain_copy_works_as_documented(tmp_path):
    file = tmp_path / "plain.parquet"
    telling_dataset([{"bytes": file_with_metadata(), "path": None}]).to_parquet(file)
    trap = datasets.load_dataset(
        "parquet", data_files=str(file), cache_dir=str(tmp_path / "a"), keep_in_memory=True
    )
    assert len(trap["train"]) == 1 and CANARY.encode() in contents(tmp_path / "a")
    stream = datasets.load_dataset(
        "parquet", data_files=str(file), cache_dir=str(tmp_path / "b"), streaming=True
    )
    save_encrypted_dataset(encrypt_dataset(stream, MIXING), MIXING, tmp_path / "out")
    assert not (tmp_path / "b").exists() or CANARY.encode() not in contents(tmp_path / "b")
