"""Tables in Markdown, and figures with their spread."""

from collections.abc import Iterable, Sequence

import numpy as np


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Render rows of cells.

    Example:

        >>> print(table(["setting", "n"], [["RS", 12]]))
        | setting | n |
        |---|---|
        | RS | 12 |
    """
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def mean_and_deviation(values: Sequence[float], digits: int) -> str:
    """Write the mean, and the standard deviation if there are several.

    Example:

        >>> mean_and_deviation([1.0, 3.0], 1), mean_and_deviation([1.0], 1)
        ('2.0 ± 1.4', '1.0')
    """
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean; not a number for a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def share(value: float) -> str:
    """Write a share.

    Example:

        >>> share(0.051), share(0.8743), share(1.0)
        ('.05', '.87', '1.00')
    """
    return f"{value:.2f}" if value >= 0.995 else f"{value:.2f}"[1:]


def share_of_chance(value: float) -> str:
    """Write what guessing gives, which may be little.

    Example:

        >>> share_of_chance(0.025)
        '.025'
    """
    return f"{value:.3f}".removeprefix("0")
