"""Renew our part of a card, and keep what people wrote around it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_whole
from ..layout import CARD_FILE
from .audit_section import AuditRow, renew_audit_section

if TYPE_CHECKING:
    from huggingface_hub import DatasetCard, ModelCard

BEGIN = "<!-- hipmr-hf: begin. What stands between these marks is renewed; write your own text outside. -->"
END = "<!-- hipmr-hf: end -->"
# Marks are whole lines, so that none that stands in a name or a command counts.
_SECTION = re.compile(
    rf"^[ \t]*{re.escape(BEGIN)}[ \t\r]*$.*?^[ \t]*{re.escape(END)}[ \t\r]*$", re.DOTALL | re.MULTILINE
)
# Metadata that tell of the files as they are now; all else stays as people wrote it.
_RENEWED = ("encryption", "configs", "size_categories", "model-index", "metrics")


def save_card(
    card: "DatasetCard | ModelCard | str", folder: str | Path, *, existing: str | None = None
) -> Path:
    """Write a card into a folder; what people wrote themselves stays.

    A card of ours is renewed between its two marks, and keeps the rest. Of any other card nothing changes.

    Args:
        card: from `cards.dataset_card` or `cards.model_card`, or its text.
        folder: of the dataset or checkpoint.
        existing: text of a card to keep to, such as the Hub's; by default the folder's own `README.md`.

    Returns:
        The path of `README.md`.
    """
    path = Path(folder) / CARD_FILE
    if existing is None and path.exists():
        existing = path.read_text(encoding="utf-8")
    return write_whole(path, merge_card(existing, f"{card}\n"))


def merge_card(existing: str | None, rendered: str) -> str:
    """Bring a newly rendered card into one that is there already.

    Args:
        existing: the card that is there, or None.
        rendered: the new one.

    Returns:
        `rendered` if there was none; `existing` if it has no marks of ours; else `existing` with the part
        between the marks, and the metadata that tell of the files, renewed.

    Example:

        >>> merge_card("# My own words", "# Rendered")
        '# My own words'
    """
    if existing is None or not existing.strip():
        return rendered
    new_part = _SECTION.search(rendered)
    if new_part is None or not _SECTION.search(existing):
        return existing
    import yaml

    old_data, old_text = _split_metadata(_SECTION.sub(lambda _: new_part[0], existing, count=1))
    new_data, _ = _split_metadata(rendered)
    renewed = {name: new_data[name] for name in _RENEWED if name in new_data}
    metadata = yaml.safe_dump({**new_data, **old_data, **renewed}, sort_keys=False, allow_unicode=True)
    return f"---\n{metadata}---\n{old_text}"


def _split_metadata(card: str) -> tuple[dict[str, Any], str]:
    import yaml

    match = re.match(r"---\s*\n(.*?)\n---\s*\n", card, re.DOTALL)
    return (yaml.safe_load(match[1]) or {}, card[match.end() - 1 :]) if match else ({}, f"\n{card}")


def with_audit(card: str, rows: Sequence[AuditRow], summary: str) -> str:
    """Put what an audit found into a dataset card, in place of what an earlier one found.

    Args:
        card: text of a card from `cards.dataset_card`, whatever people wrote around it.
        rows: the attacks that were tried.
        summary: what it comes to, and how it was found.

    Raises:
        ValueError: the card has no part of ours to put it into.

    Example:

        >>> from hipmr_hf import MixingUp
        >>> from hipmr_hf.hub.cards import DatasetFacts, dataset_card
        >>> card = str(dataset_card(DatasetFacts("me/scans", MixingUp(), {"train": 120})))
        >>> "| looking | .86 | .28 |" in with_audit(card, [AuditRow("looking", ".86", ".28")], "Grade F.")
        True
    """
    ours = _SECTION.search(card)
    renewed = renew_audit_section("" if ours is None else ours[0], rows, summary)
    return card[: ours.start()] + renewed + card[ours.end() :]
