"""What became of every file of a source: rows that were written, and files that were not, with the reason."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files import PRIVATE_FILE, whole_file

ACCOUNT = "account.json"  # in the folder of an unfinished run

# What stands in a reason that a reader of pictures gives, and what it comes to.
_KINDS = {
    "mask: the row has none": "without a mask",
    "mask: ": "with masks that are none",
    "smaller than one patch": "smaller than a patch",
    "several frames": "several frames",
    "cannot be opened": "unreadable",
    "cannot be read": "unreadable",
    "no pixels": "unreadable",
    "MAX_IMAGE_PIXELS": "too many pixels",
    "max_pixels": "too many pixels",
    "memory": "too many pixels",
    "has mode": "of a mode that is not read",
    "32-bit": "of a mode that is not read",
    "no image": "without a picture",
    "names a file": "naming a file elsewhere",
    "bbox": "with boxes that are none",
    "boxes": "with boxes that are none",
}


@dataclasses.dataclass
class Account:
    """Counts files, or rows where a source has no files of its own; nothing of it is ever published.

    Args:
        unit: "files" or "rows".
        found: all that there are.
        written: rows of each split in the result.
        skipped: what is no row of the result: by kind of reason, the whole reason by name or row number.
    """

    unit: str = "files"
    found: int = 0
    written: dict[str, int] = dataclasses.field(default_factory=dict)
    skipped: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    def skip(self, name: str, reason: str) -> None:
        """Note that a file is no row of the result."""
        self.skipped.setdefault(_kind(reason), {})[name] = reason

    @property
    def num_skipped(self) -> int:
        """All that is no row of the result."""
        return sum(map(len, self.skipped.values()))

    def adds_up(self) -> bool:
        """Whether all that was found was written or skipped."""
        return self.found == sum(self.written.values()) + self.num_skipped

    def lines(self) -> list[str]:
        r"""Tell it in a few lines, without names.

        Example:

            >>> account = Account(found=3, written={"train": 2})
            >>> account.skip("notes.txt", "no picture")
            >>> print(*account.lines(), sep="\n")
            3 files found: 2 written (train 2), 1 skipped
              1 no picture
        """
        rows = ", ".join(f"{split} {count:,}" for split, count in self.written.items())
        first = (
            f"{self.found:,} {self.unit} found: {sum(self.written.values()):,} written ({rows}), "
            f"{self.num_skipped:,} skipped"
        )
        reasons = collections.Counter({kind: len(names) for kind, names in self.skipped.items()})
        return [first, *(f"  {count:,} {reason}" for reason, count in reasons.most_common())]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values, names included."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, path: Path) -> Account:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> Path:
        """Write it for its owner alone, names included."""
        with whole_file(path) as place:
            place.touch(mode=PRIVATE_FILE)
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
            place.write_bytes(text.encode("utf-8", "backslashreplace"))
        return path


def _kind(reason: str) -> str:
    """Name the kind of a reason, so that alike ones are counted together."""
    return next(
        (kind for words, kind in _KINDS.items() if words in reason), reason.partition(":")[0].rstrip(".")
    )


def account_path(output_dir: Path) -> Path:
    """Return where the account of a run lies: beside the output, never in it.

    Example:

        >>> account_path(Path("/data/encrypted")).as_posix()
        '/data/encrypted.account.json'
    """
    output_dir = output_dir.absolute()
    return output_dir.with_name(f"{output_dir.name}.account.json")


def account_of(names: Mapping[str, str], found: int, unit: str = "files") -> Account:
    """Begin an account with what is known before any picture is read.

    Args:
        names: files that will be no rows, with the reason.
        found: all that there are.
        unit: as in `Account`.
    """
    account = Account(unit=unit, found=found)
    for name, reason in names.items():
        account.skip(name, reason)
    return account
