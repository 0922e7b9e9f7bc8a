"""Which measured values a model card shows, and how it writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping


def shown_metrics(values: Mapping[str, float]) -> dict[str, float]:
    """Keep what is a metric, without the prefix "eval_".

    Example:
        >>> shown_metrics({"eval_accuracy": 0.9, "eval_runtime": 3.1, "eval_map_50": 0.5})
        {'accuracy': 0.9, 'map_50': 0.5}
    """
    named = {name.removeprefix("eval_"): value for name, value in values.items()}
    known = r"m?ap\b|map_|mean_iou|iou_|f1_|average_precision|(mse|mae|r2)$|\w+_(told|missed)$"
    return {
        name: float(value) for name, value in named.items() if "accuracy" in name or re.match(known, name)
    }


def written(value: float | None) -> str:
    """Write a value with four decimals at most; nothing for None.

    Example:
        >>> written(0.5), written(None)
        ('0.5', '')
    """
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
