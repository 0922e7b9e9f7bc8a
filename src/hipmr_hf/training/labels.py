"""Make of labels what a model can learn: classes that know their names, lists of them, or numbers."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, LargeList, List, Value

from ..errors import InputValueError
from ..layout import OBJECTS_COLUMN

_CLASS_TYPES = ("bool", "int", "uint", "string", "large_string")
_SINGLE, _MULTI, _REGRESSION = "single_label_classification", "multi_label_classification", "regression"
_ALLOWED = {
    _SINGLE: "one class a picture: a ClassLabel, text, whole numbers, true or false",
    _MULTI: "a list for each picture, of its classes, or of 0 and 1 for all of them",
    _REGRESSION: "a number for each picture, or a list of as many numbers",
}


def as_targets(
    splits: Sequence[Dataset], label_column: str, problem_type: str | None = None
) -> list[Dataset]:
    """Return splits whose labels can be learned: classes as `as_classes`, lists of classes, or numbers.

    Args:
        splits: of one dataset.
        label_column: its labels.
        problem_type: as in transformers; by default lists of classes are a multi-label problem, floating
            numbers and lists of them a regression, and everything else is one class a picture.

    Raises:
        InputValueError: there is no such column, a row has no label, or its values do not fit.

    Example:

        >>> rows = Dataset.from_dict({"image": ["a", "b"], "label": [["owl", "cat"], []]})
        >>> (several,) = as_targets([rows], "label")
        >>> several["label"][:], several.features["label"].feature.names
        ([[1, 0], []], ['cat', 'owl'])
    """
    if problem_type not in (None, *_ALLOWED):
        allowed = ", ".join(map(repr, _ALLOWED))
        raise InputValueError(f"--problem_type: got {problem_type!r}, expected one of {allowed}.")
    feature = splits[0].features.get(label_column)
    several = isinstance(feature, (List, LargeList))
    inner = feature.feature if several else feature
    floats = isinstance(inner, Value) and "float" in inner.dtype
    chosen = problem_type or (_REGRESSION if floats else _MULTI if several else _SINGLE)
    if chosen == _SINGLE:
        return as_classes(splits, label_column)
    if chosen == _MULTI and several and (floats or _can_be_class(inner)):
        return _as_several_classes(splits, label_column, zeros_and_ones=floats)
    if chosen == _REGRESSION and isinstance(inner, Value) and (floats or "int" in inner.dtype):
        return [_as_numbers(split, label_column, several) for split in splits]
    raise InputValueError(
        f"--label_column: {label_column!r} is {feature or 'not there'}, for {chosen} it has to be "
        f"{_ALLOWED[chosen]}; name another column, or another --problem_type. The columns are "
        f"{list(splits[0].features)}."
    )


def _as_several_classes(splits: Sequence[Dataset], column: str, *, zeros_and_ones: bool) -> list[Dataset]:
    labels = [split.select_columns(column).with_format(None)[column][:] for split in splits]
    known = splits[0].features[column].feature
    every = [row for found in labels for row in found]
    missing = sum(
        row is None or None in row or (isinstance(known, ClassLabel) and -1 in row) for row in every
    )
    _check_none_missing(missing, len(every), column)
    if zeros_and_ones:
        width = len(every[0])
        if any(len(row) != width or not set(row) <= {0.0, 1.0} for row in every):
            raise InputValueError(
                f"--label_column: the numbers in {column!r} are not 0 and 1, one for each class; learn them "
                "as numbers with --problem_type regression."
            )
        classes = ClassLabel(names=[str(i) for i in range(width)])
        labels = [[[i for i, value in enumerate(row) if value] for row in found] for found in labels]
    elif isinstance(known, ClassLabel):
        return list(splits)
    else:
        classes = _classes(label for row in every for label in row)
        labels = [[classes.str2int(list(map(str, row))) for row in found] for found in labels]
    return [
        split.remove_columns(column).add_column(column, found, feature=List(classes))
        for split, found in zip(splits, labels, strict=True)
    ]


def _as_numbers(split: Dataset, column: str, several: bool) -> Dataset:
    found = split.select_columns(column).with_format(None)[column][:]
    rows = [row if several else [row] for row in found]
    missing = sum(row is None or None in row or not np.isfinite(row).all() for row in rows)
    _check_none_missing(missing, len(rows), column)
    if len(counts := {len(row) for row in rows}) > 1 or 0 in counts:
        raise InputValueError(
            f"--label_column: {column!r} holds lists of {', '.join(map(str, sorted(counts)))} numbers; for "
            "regression each picture has as many."
        )
    numbers = List(Value("float64")) if several else Value("float64")
    return split.remove_columns(column).add_column(column, found, feature=numbers)


def _check_none_missing(missing: int, count: int, column: str) -> None:
    if missing:
        raise InputValueError(
            f"--label_column: {missing} of {count} rows have no label in {column!r}; name a split whose rows "
            "have one, or leave such rows out before the encryption."
        )


def as_classes(splits: Sequence[Dataset], label_column: str) -> list[Dataset]:
    """Return splits whose labels are classes that know their names, the same in all splits.

    Text, whole numbers, true and false become classes of these names; classes stay as they are.

    Args:
        splits: of one dataset.
        label_column: its labels.

    Raises:
        InputValueError: there is no such column, its values are no classes, or a row has none.

    Example:

        >>> rows = Dataset.from_dict({"image": ["a", "b"], "label": ["dog", "cat"]})
        >>> (classes,) = as_classes([rows], "label")
        >>> classes["label"][:], classes.features["label"].names
        ([1, 0], ['cat', 'dog'])
    """
    labels = [_labels_of(split, label_column) for split in splits]
    if all(isinstance(split.features[label_column], ClassLabel) for split in splits):
        return list(splits)
    classes = _classes(label for found in labels for label in found)
    return [
        split.remove_columns(label_column).add_column(
            label_column, classes.str2int(list(map(str, found))), feature=classes
        )
        for split, found in zip(splits, labels, strict=True)
    ]


def as_object_classes(splits: Sequence[Dataset]) -> list[Dataset]:
    """Return splits whose objects' categories are classes that know their names, as `as_classes` does.

    Splits whose categories are classes already, or nothing that could be, stay as they are.

    Args:
        splits: of one dataset, with a column "objects" of "bbox" and "category".

    Raises:
        InputValueError: an object has no category.

    Example:

        >>> objects = {"bbox": [[0.0, 0.0, 4.0, 4.0]], "category": ["dog"]}
        >>> (classes,) = as_object_classes([Dataset.from_dict({"image": ["a"], "objects": [objects]})])
        >>> classes.features["objects"]["category"].feature.names, classes[0]["objects"]["category"]
        (['dog'], [0])
    """
    features = splits[0].features.get(OBJECTS_COLUMN)
    category = getattr(features.get("category"), "feature", None) if isinstance(features, dict) else None
    if not _can_be_class(category) or isinstance(category, ClassLabel):
        return list(splits)
    rows = [split.select_columns(OBJECTS_COLUMN).with_format(None)[OBJECTS_COLUMN][:] for split in splits]
    labels = [label for found in rows for objects in found for label in objects["category"]]
    if missing := labels.count(None):
        raise InputValueError(
            f"--dataset_name: {missing} of {len(labels)} objects have no category; give each one, or leave "
            "it out, before the encryption."
        )
    classes = _classes(labels)
    for found in rows:
        for objects in found:
            objects["category"] = classes.str2int(list(map(str, objects["category"])))
    feature = {**features, "category": List(classes)}
    return [
        split.remove_columns(OBJECTS_COLUMN).add_column(OBJECTS_COLUMN, found, feature=feature)
        for split, found in zip(splits, rows, strict=True)
    ]


def _classes(labels: Iterable[Any]) -> ClassLabel:
    return ClassLabel(names=sorted({str(label) for label in labels}))


def _can_be_class(feature: Any) -> bool:
    return isinstance(feature, ClassLabel) or (
        isinstance(feature, Value) and feature.dtype.startswith(_CLASS_TYPES)
    )


def _labels_of(split: Dataset, label_column: str) -> list[Any]:
    feature = split.features.get(label_column)
    are_classes = isinstance(feature, ClassLabel)
    if not _can_be_class(feature):
        found = "not there" if feature is None else f"of type {feature}"
        raise InputValueError(
            f"--label_column: {label_column!r} is {found}, expected one class a picture: a ClassLabel, "
            f"text, whole numbers, true or false; the columns are {list(split.features)}. The owner makes "
            "classes of a column with `hipmr encrypt --labels COLUMN`."
        )
    labels = split.select_columns(label_column).with_format(None)[label_column][:]
    missing = sum(
        label is None or (are_classes and label < 0) for label in labels
    )  # -1: as hidden tests have
    if missing:
        raise InputValueError(
            f"--label_column: {missing} of {len(labels)} rows have no class in {label_column!r}; name a "
            "split whose rows have one, or leave such rows out before the encryption."
        )
    return labels
