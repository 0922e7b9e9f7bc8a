"""What every command says at its end: what was made, where, how much, what is for good, what comes next."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

_UNITS = ("", "k", "M", "G", "T", "P", "E")


@dataclasses.dataclass
class Summary:
    """The last lines of a command, on the standard output.

    Args:
        made: what was made and where, such as "Encrypted dataset: out".
        facts: how much of it there is, and what became of it, a line each.
        for_good: what cannot be undone.
        next_step: what to do now, or the command to type.

    Example:

        >>> Summary("Encrypted dataset: out", ["train: 6 rows"], next_step="hipmr audit pictures").say()
        Encrypted dataset: out
          train: 6 rows
        Next: hipmr audit pictures
    """

    made: str
    facts: Sequence[str] = ()
    for_good: str | None = None
    next_step: str | None = None

    def say(self) -> None:
        """Print it."""
        print(self.made)
        for fact in self.facts:
            print(f"  {fact}")
        if self.for_good is not None:
            print(f"For good: {self.for_good}")
        if self.next_step is not None:
            print(f"Next: {self.next_step}")


def counted(count: int, thing: str) -> str:
    """Write a number of things.

    Example:

        >>> counted(1, "row"), counted(12000, "row")
        ('1 row', '12,000 rows')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def size_of(folder: Path) -> str:
    """Say how many files a folder holds, and how much they take.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_bytes(bytes(1_500_000))
        >>> size_of(folder)
        '1 file, 1.50MB'
    """
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{counted(len(sizes), 'file')}, {_in_three_digits(sum(sizes))}"


def _in_three_digits(size: float) -> str:
    """Write bytes as progress bars do.

    Example:

        >>> [_in_three_digits(size) for size in (12, 999, 1_500_000, 99_960_000, 999_500_000)]
        ['12.0B', '999B', '1.50MB', '100MB', '1.00GB']
    """
    step = 0
    while size >= 999.5:
        size, step = size / 1000, step + 1
    return f"{size:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}{_UNITS[step]}B"


def rows_of(folder: Path) -> dict[str, int]:
    """Count the rows of each split of a dataset's folder."""
    import pyarrow.parquet as pq

    from ..layout import DATA_FOLDER, split_of

    rows: dict[str, int] = {}
    for path in sorted((folder / DATA_FOLDER).glob("*.parquet")):
        split = split_of(path.name) or path.name
        rows[split] = rows.get(split, 0) + pq.read_metadata(path).num_rows
    return rows


def command(*words: object) -> str:
    """Write a command so that it can be typed as it stands.

    Example:

        >>> command("hipmr", "audit", Path("my pictures"))
        "hipmr audit 'my pictures'"
    """
    return shlex.join(map(str, words))
