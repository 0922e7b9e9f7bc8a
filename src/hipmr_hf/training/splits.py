"""What a training script loads: how a dataset was encrypted, which rows to train and to evaluate on."""

from collections.abc import Sequence
from pathlib import Path

import datasets
from datasets import ClassLabel, load_dataset

from ..encryption.base import Encryption
from ..errors import InputValueError, MissingFileError
from ..layout import DATA_FOLDER, split_of
from .labels import as_targets


def load_splits(
    dataset_name: str,
    *,
    train_split: str = "train",
    eval_split: str = "test",
    validation_fraction: float | None = None,
    label_column: str | None = None,
    problem_type: str | None = None,
    seed: int = 0,
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """Load what to train and what to evaluate on.

    Args:
        dataset_name: folder or Hub repository of a dataset.
        train_split, eval_split: their names in it.
        validation_fraction: share of the training split, above 0 and below 1, that is held out to evaluate
            on, for datasets without a second split; `eval_split` is not used then.
        label_column: labels, which come as classes, lists of classes or numbers (`labels.as_targets`); a held
            out share has classes in equal parts.
        problem_type: what they are taken for, as in `labels.as_targets`.
        seed: which rows are held out.

    Raises:
        InputValueError: there is no such split; or a share that is out of range, or cannot be held out; or
            labels that cannot be learned.
        MissingFileError: there is no such dataset.
    """
    try:
        shards = _shards(Path(dataset_name) / DATA_FOLDER)
        dataset = load_dataset("parquet", data_files=shards) if shards else load_dataset(dataset_name)
    except FileNotFoundError as error:  # those of `datasets` are of this kind too
        raise MissingFileError(f"--dataset_name: {' '.join(str(error).split())}") from error
    train = pick_split(dataset, train_split, argument="--train_split")
    if validation_fraction is not None:
        (train,) = [train] if label_column is None else as_targets([train], label_column, problem_type)
        return _hold_out(train, validation_fraction, label_column, seed)
    remedy = "or hold a share of the training split out with --validation_fraction 0.1"
    evaluation = pick_split(dataset, eval_split, argument="--eval_split", remedy=remedy)
    if label_column is None:
        return train, evaluation
    return tuple(as_targets([train, evaluation], label_column, problem_type))


def at_most(
    splits: Sequence[datasets.Dataset], limits: Sequence[int | None], *, shuffle_seed: int | None = None
) -> list[datasets.Dataset]:
    """Leave rows of splits out, as `--max_train_samples` and `--max_eval_samples` say.

    Args:
        splits: of a dataset.
        limits: the most rows of each; None for all.
        shuffle_seed: takes rows at random instead of the first ones.

    Example:
        >>> rows = datasets.Dataset.from_dict({"label": [1, 2, 3]})
        >>> [len(split) for split in at_most([rows, rows], [2, None])]
        [2, 3]
    """
    kept = []
    for split, limit in zip(splits, limits, strict=True):
        if limit is not None:
            split = split if shuffle_seed is None else split.shuffle(seed=shuffle_seed)
            split = split.take(min(limit, len(split)))
        kept.append(split)
    return kept


def _shards(folder: Path) -> dict[str, list[str]]:
    """Shards of an encrypted dataset's folder, by split.

    Given as such, they are looked up in the cache by path and time. Given the folder, `datasets` takes any
    folder of this name with the same card for it, such as the one that was encrypted here before.
    """
    shards: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.parquet")):
        shards.setdefault(split_of(path.name) or "", []).append(str(path))
    return {} if "" in shards else shards


def pick_split(
    dataset: datasets.DatasetDict, name: str, *, argument: str, remedy: str = ""
) -> datasets.Dataset:
    """Take a split of a dataset.

    Args:
        dataset: all of its splits.
        name: the split's.
        argument: what named it.
        remedy: what else whoever named it can do.

    Raises:
        InputValueError: there is none of this name.

    Example:
        >>> loaded = datasets.DatasetDict(train=datasets.Dataset.from_dict({"label": [1]}))
        >>> pick_split(loaded, "test", argument="--eval_split")
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: --eval_split: got 'test', but the dataset has only 'train'; ...
    """
    if name not in dataset:
        has = ", ".join(map(repr, dataset))
        advice = ", ".join(filter(None, ["name one of its splits", remedy]))
        raise InputValueError(f"{argument}: got {name!r}, but the dataset has only {has}; {advice}.")
    return dataset[name]


def class_names(dataset: datasets.Dataset, label_column: str) -> list[str]:
    """Name the classes of a split.

    Raises:
        InputValueError: there is no such column, or it does not know its classes.

    Example:
        >>> from datasets import ClassLabel, Features
        >>> features = Features({"label": ClassLabel(names=["cat", "dog"])})
        >>> class_names(datasets.Dataset.from_dict({"label": [1]}, features=features), "label")
        ['cat', 'dog']
    """
    feature = dataset.features.get(label_column)
    if not isinstance(feature, ClassLabel):
        found = "not there" if feature is None else f"of type {feature}"
        raise InputValueError(
            f"--label_column: {label_column!r} is {found}, expected a ClassLabel, one class a picture that "
            f"is known by name; the columns are {list(dataset.features)}. The owner casts it before the "
            f"encryption: dataset.cast_column({label_column!r}, ClassLabel(names=[...]))."
        )
    return feature.names


def _hold_out(
    train: datasets.Dataset, fraction: float, label_column: str | None, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    if not 0 < fraction < 1:
        raise InputValueError(
            f"--validation_fraction: got {fraction}, expected a share above 0 and below 1, such as 0.1."
        )
    try:
        classes = label_column if isinstance(train.features.get(label_column), ClassLabel) else None
        halves = train.train_test_split(fraction, seed=seed, stratify_by_column=classes)
    except ValueError as error:  # too few rows
        raise InputValueError(
            f"--validation_fraction: {fraction} of {len(train)} rows cannot be held out ({error}); give "
            "another share, or name a split with --eval_split."
        ) from error
    return halves["train"], halves["test"]


def load_encryption(dataset_name: str, *, model_name: str | None = None) -> Encryption:
    """Read how a dataset was encrypted, and refuse one that a model was not trained on.

    Args:
        dataset_name: folder or Hub repository of an encrypted dataset.
        model_name: folder or Hub repository of a checkpoint that is to be trained on, if any.

    Raises:
        FileNotFoundError: the dataset has no encryption settings.
        ValueError: dataset and model do not fit.
    """
    encryption = Encryption.from_pretrained(dataset_name, repo_type="dataset")
    if model_name is not None:
        expected = Encryption.from_pretrained(model_name, repo_type="model")
        if encryption != expected:
            raise InputValueError(
                f"dataset_name: {dataset_name} was encrypted with {encryption}, but {model_name} was trained "
                f"on {expected}; encrypt the plain images with the model's settings, or train a new model."
            )
    return encryption
