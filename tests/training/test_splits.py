import shutil

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as PILImage

from hipmr_hf import MixingUp, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.errors import InputValueError, MissingFileError
from hipmr_hf.training.splits import class_names, load_splits

MIXING = MixingUp(patch_size=8)


def rows(*labels: int, names: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    features = Features({"image": Image(), "label": ClassLabel(names=list(names))})
    pictures = [PILImage.new("RGB", (16, 16), (80 * label,) * 3) for label in labels]
    return Dataset.from_dict({"image": pictures, "label": labels}, features=features)


def save(folder, **splits: Dataset) -> str:
    encrypted = encrypt_dataset(DatasetDict(splits), MIXING)
    return str(save_encrypted_dataset(encrypted, MIXING, folder))


def test_a_folder_of_the_same_name_as_another_has_rows_of_its_own(tmp_path):
    """Also if the first was deleted and another was encrypted in its place."""
    first = save(tmp_path / "a" / "encrypted", train=rows(0, 0), test=rows(0))
    second = save(tmp_path / "b" / "encrypted", train=rows(1, 1), test=rows(1))
    assert [part["label"][:] for part in load_splits(first)] == [[0, 0], [0]]
    assert [part["label"][:] for part in load_splits(second)] == [[1, 1], [1]]
    shutil.rmtree(first)
    save(tmp_path / "a" / "encrypted", train=rows(1, 0), test=rows(1))
    assert [part["label"][:] for part in load_splits(first)] == [[1, 0], [1]]


def test_a_held_out_share_has_every_class_and_is_not_trained_on(tmp_path):
    folder = save(tmp_path / "encrypted", train=rows(*[0, 1] * 20))
    train, held_out = load_splits(folder, validation_fraction=0.1, label_column="label")
    assert (len(train), sorted(held_out["label"][:])) == (36, [0, 0, 1, 1])
    again, _ = load_splits(folder, validation_fraction=0.1, label_column="label")
    assert again["label"][:] == train["label"][:]


@pytest.mark.parametrize("share", [0, 1, -0.5, 2, 0.001])
def test_a_share_that_cannot_be_held_out_is_refused(share, tmp_path):
    folder = save(tmp_path / "encrypted", train=rows(0, 1, 0, 1))
    with pytest.raises(InputValueError, match="--validation_fraction: "):
        load_splits(folder, validation_fraction=share, label_column="label")


def test_what_is_not_there_is_told(tmp_path):
    folder = save(tmp_path / "encrypted", train=rows(0, 1))
    with pytest.raises(
        InputValueError, match=r"--eval_split: got 'test', .* only 'train'; .*--validation_fract"
    ):
        load_splits(folder)
    with pytest.raises(InputValueError, match="--train_split: got 'all'"):
        load_splits(folder, train_split="all")
    with pytest.raises(MissingFileError, match=r"--dataset_name: .*nowhere"):
        load_splits(str(tmp_path / "nowhere"))


def test_labels_without_names_are_refused_with_the_remedy():
    numbers = rows(0, 1).cast_column("label", Value("int64"))
    with pytest.raises(
        InputValueError, match=r"'label' is of type .*int64.*dataset.cast_column\('label', ClassLabel"
    ):
        class_names(numbers, "label")
    with pytest.raises(InputValueError, match=r"'kind' is not there, .* columns are \['image', 'label'\]"):
        class_names(numbers, "kind")
