"""What a label column asks a model to learn: one class a picture, any number of classes, or numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import datasets
import numpy as np
import torch
from datasets import ClassLabel

from ..errors import InputValueError
from ..metrics import Accuracy, MultiLabel, Regression

if TYPE_CHECKING:
    import evaluate

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
"""As `problem_type` in a config of transformers."""

PROBLEM_TYPES: tuple[str, ...] = get_args(ProblemType)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is learned, and what the model's outputs are called.

    Args:
        problem_type: as in transformers.
        names: of the classes, or of the numbers; one for each of the model's outputs.
        mean, std: of each number over the training rows; with them the model learns numbers of about unit
            size, whatever their unit, and still answers in that unit. None for classes.

    Example:
        >>> ages = Problem("regression", ("age",), (50.0,), (10.0,))
        >>> ages.targets([41.0, 62.5])
        tensor([[41.0000],
                [62.5000]])
        >>> Problem("multi_label_classification", ("cat", "dog", "owl")).targets([[0, 2], []])
        tensor([[1., 0., 1.],
                [0., 0., 0.]])
    """

    problem_type: ProblemType
    names: tuple[str, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def settings(self) -> dict[str, Any]:
        """Return what a model's config says of it; `regression_mean` and `_std` are PEViT's own."""
        named = label_names(self.names) | {"problem_type": self.problem_type}
        if self.mean is None or self.std is None:
            return named
        return named | {"regression_mean": list(self.mean), "regression_std": list(self.std)}

    def targets(self, labels: Sequence[Any]) -> torch.Tensor:
        """Make labels of rows into a model's `labels`.

        Returns:
            Class ids (batch,), or zeros and ones (batch, classes), or numbers (batch, numbers).
        """
        if self.problem_type == "single_label_classification":
            return torch.tensor(labels)
        if self.problem_type == "regression":
            return torch.tensor(labels, dtype=torch.float32).reshape(len(labels), len(self.names))
        chosen = torch.zeros(len(labels), len(self.names))
        for row, ids in enumerate(labels):
            chosen[row, ids] = 1.0
        return chosen

    def metric(self) -> evaluate.Metric:
        """Return what predictions (logits or numbers) are measured by."""
        kinds = {"multi_label_classification": MultiLabel, "regression": Regression}
        return kinds.get(self.problem_type, Accuracy)()


def problem_of(rows: datasets.Dataset, label_column: str, *, with_teacher: bool = False) -> Problem:
    """Tell what a label column asks for, from rows that `load_splits` returned.

    Args:
        rows: to train on; of numbers, mean and spread are taken over them.
        label_column: name of the column.
        with_teacher: a teacher's logits come with the rows.

    Raises:
        InputValueError: it holds no classes that know their names, and no numbers; or a teacher, who tells
            one class a picture, comes with another problem.

    Example:
        >>> from datasets import Features, Value
        >>> rows = datasets.Dataset.from_dict({"age": [40.0, 60.0]}, Features({"age": Value("float64")}))
        >>> problem_of(rows, "age")
        Problem(problem_type='regression', names=('age',), mean=(50.0,), std=(10.0,))
    """
    feature = rows.features.get(label_column)
    inner = getattr(feature, "feature", feature)
    if with_teacher and not isinstance(feature, ClassLabel):
        raise InputValueError(
            f"--teacher_logits_column: a teacher's logits go with one class a picture, but {label_column!r} "
            f"is {feature or 'not there'}; leave them out."
        )
    if isinstance(feature, ClassLabel):
        return Problem("single_label_classification", tuple(feature.names))
    if isinstance(inner, ClassLabel):
        return Problem("multi_label_classification", tuple(inner.names))
    if "float" not in getattr(inner, "dtype", ""):
        raise InputValueError(
            f"--label_column: {label_column!r} is {feature or 'not there'}, expected classes, lists of "
            f"classes, or numbers; the columns are {list(rows.features)}."
        )
    found = rows.select_columns(label_column).with_format(None)[label_column][:]
    numbers = np.asarray(found, dtype=np.float64).reshape(len(found), -1)
    spread = numbers.std(axis=0)
    count = numbers.shape[1]
    names = (label_column,) if count == 1 else tuple(f"{label_column}_{i}" for i in range(count))
    spread = np.where(spread > 0, spread, 1.0)  # the same number everywhere is learned as it is
    return Problem("regression", names, tuple(numbers.mean(axis=0).tolist()), tuple(spread.tolist()))


def label_names(names: Sequence[str]) -> dict[str, Any]:
    """Give a config its class names: `id2label` and `label2id`.

    Example:
        >>> label_names(["cat", "dog"])
        {'id2label': {0: 'cat', 1: 'dog'}, 'label2id': {'cat': 0, 'dog': 1}}
    """
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
