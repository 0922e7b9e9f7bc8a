"""Fill the template of a dataset card, which has no need of a template engine and its import."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any


def filled(
    template: str,
    *,
    splits: Mapping[str, int],
    columns: Sequence[tuple[str, str]],
    settings: Mapping[str, Any],
    image_format: str | None,
    audit: str | None,
    weaknesses: Sequence[str],
    limits: Sequence[str],
    **values: str,
) -> str:
    r"""Write the blocks that repeat or may be missing, and put all into the template.

    Args:
        template: with `$name` for each value; its last line's end is left out.
        splits, columns, settings, image_format, audit, weaknesses, limits: make the blocks.
        values: go in as they are.

    Example:

        >>> about = {"splits": {}, "columns": [], "image_format": None, "audit": None, "weaknesses": []}
        >>> print(filled("$title$as_format\n$unprotected", title="me", settings={}, limits=["all"], **about))
        me
        - all
    """
    rows = "".join(f"| {name} | {count} |\n" for name, count in splits.items())
    listed = ", ".join(f"{name} ({kind})" for name, kind in columns)
    hides_nothing = [f"**These settings hide next to nothing:** {weakness}." for weakness in weaknesses]
    blocks = {
        "rows_and_columns": (f"\n| split | rows |\n|---|---|\n{rows}" if splits else "")
        + (f"\nColumns: {listed}.\n" if columns else ""),
        "settings": "".join(f"| `{name}` | {value} |\n" for name, value in settings.items()),
        "as_format": f" as {image_format}" if image_format else "",
        "audit": f"\n{audit}" if audit else "",
        "unprotected": "".join(f"- {sentence}\n" for sentence in [*hides_nothing, *limits]),
    }
    return string.Template(template).substitute(blocks, **values).removesuffix("\n")
