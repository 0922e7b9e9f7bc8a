"""Figures, drawn without a screen."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

_DRAWN_AT = 448
"""Pixels to which a picture is enlarged, so that its own stay sharp."""


@contextlib.contextmanager
def plot(path: Path, width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure of so many inches with one pair of axes, and write it as a PNG."""
    figure = Figure((width, height), layout="constrained")
    yield figure, figure.subplots()
    _save(figure, path, dpi=110)


@contextlib.contextmanager
def panels(path: Path, width: float, heights: Sequence[float]) -> Iterator[Sequence[Axes]]:
    """Give panels below each other, so many inches high, and write them as a PNG."""
    figure = Figure((width, sum(heights)), layout="constrained")
    yield figure.subplots(len(heights), 1, height_ratios=heights)
    _save(figure, path, dpi=110)


class Cell(NamedTuple):
    """A picture, and what is written under it."""

    picture: np.ndarray
    note: str = ""


def contact_sheet(
    path: Path, titles: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: float, font: float, dpi: int
) -> None:
    """Draw rows of pictures, every one at the same size.

    Args:
        path: of the PNG.
        titles: over the columns.
        rows: of pictures, one for each title.
        width: of a picture, in inches.
        font: its size, in points.
        dpi: pixels an inch.
    """
    size = (width * len(titles), 1.115 * width * len(rows) + 0.4)
    figure = Figure(size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for axes_row, cells in zip(grid, rows, strict=True):
        for axes, cell in zip(axes_row, cells, strict=True):
            _draw(axes, cell, font)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=font)
    _save(figure, path, dpi)


def _draw(axes: Axes, cell: Cell, font: float) -> None:
    picture = Image.fromarray(cell.picture)
    axes.imshow(np.asarray(picture.resize((_DRAWN_AT, _DRAWN_AT), Image.Resampling.NEAREST)))
    axes.set_xlabel(cell.note, fontsize=0.9 * font)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _save(figure: Figure, path: Path, dpi: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
