"""What training with differential privacy must not take, lest its epsilon say too little."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..errors import InputValueError
from .problems import Problem


def refuse_what_voids(
    *, mixup_alpha: float = 0.0, teacher_logits_column: str | None = None, patch_drop_rate: float = 0.0
) -> None:
    """Refuse what would make an epsilon say too little, or its gradients wrong.

    Raises:
        InputValueError: mixup, a teacher, or dropped patches are asked for.

    Example:
        >>> refuse_what_voids(mixup_alpha=0.8)
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: --mixup_alpha: got 0.8, but with differential privacy it must be ...
    """
    if mixup_alpha:
        raise InputValueError(
            f"--mixup_alpha: got {mixup_alpha}, but with differential privacy it must be 0: mixup blends two "
            "records, so that neither has a gradient of its own to clip; leave it out."
        )
    if teacher_logits_column is not None:
        raise InputValueError(
            f"--teacher_logits_column: got {teacher_logits_column!r}, but a teacher that saw the pictures "
            "without noise tells of all of them in its logits, and no epsilon covers that; leave it out."
        )
    if patch_drop_rate:
        raise InputValueError(
            f"--patch_drop_rate: got {patch_drop_rate}, but with differential privacy it must be 0: the "
            "gradient of each record is worked out in a second pass, which would drop other patches."
        )


def scaled_in_private(problem: Problem, number_range: Sequence[float] | None) -> Problem:
    """Scale the numbers of a regression by a range that was known before, and leave other problems alone.

    The mean and the spread that `problem_of` takes over all rows get no noise, and stand in the config.

    Args:
        problem: what the labels ask for.
        number_range: the lowest and the highest number, for all numbers of a row; None for classes.

    Raises:
        InputValueError: numbers without a range, a range without numbers, or no range at all.

    Example:
        >>> from hipmr_hf.training.problems import Problem
        >>> ages = Problem("regression", ("age",), (51.3,), (11.7,))
        >>> scaled_in_private(ages, [0, 120]).mean
        (60.0,)
    """
    if problem.problem_type != "regression":
        if number_range is not None:
            raise InputValueError(
                f"--number_range: got {list(number_range)}, but the labels are classes; leave it out."
            )
        return problem
    if number_range is None:
        raise InputValueError(
            "--number_range: it is missing, and a regression with differential privacy needs it: mean and "
            "spread of the training rows would tell of all of them; give the lowest and the highest number "
            "that were known before, such as 0 120."
        )
    if len(number_range) != 2 or not number_range[0] < number_range[1]:
        raise InputValueError(
            f"--number_range: got {list(number_range)}, expected the lowest and then the highest number."
        )
    low, high = number_range
    count = len(problem.names)
    spread = (high - low) / 12**0.5  # of numbers that lie anywhere in the range
    return dataclasses.replace(problem, mean=((low + high) / 2,) * count, std=(spread,) * count)
