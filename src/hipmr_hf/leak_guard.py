"""Look into the files that are about to be published, for anything that must not be in them."""

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .encrypted_parquet import DATA_FOLDER
from .encryption import CONFIG_NAME, Encryption
from .keys import SecretKey
from .parquet_leaks import holds_key, inspect_split

_SHARD = re.compile(r"(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.parquet")
# What the Hub and its client add to a folder, and says nothing of the data.
_HARMLESS = (".gitattributes", ".gitignore", ".cache/huggingface/")
_TEXT = (".md", ".json", ".txt", ".yaml", ".yml", ".py", ".cff", ".jsonl", ".csv")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".dcm", ".avif", ".heic")
_KEY_FILE = b"hipmr-hf secret key"
# It begins with plain letters, which are searched for 30 times as fast as a word border is.
_TOKEN = re.compile(rb"hf_(?<=\bhf_)[A-Za-z0-9]{30,}\b")
_LOCAL_PATH = re.compile(rb"(?:/(?:home|Users|root|mnt|tmp|scratch)/|\b[A-Z]:\\Users\\)[^\s\"'`<>)]+")
_READ_BYTES = 2**24
_KEY_ID = re.compile(r"^ *key_id: *['\"]?([0-9a-f]{16})\b", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Leak:
    """Something that must not be published.

    Args:
        place: file, and column and row where there are such.
        reason: what it is and what to do; never the content itself.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class LeakReport:
    """What was found in a folder.

    Args:
        leaks: what must not be published.
        remarks: what may be published, and could identify people: a person must decide.
        num_rows: rows whose every value was looked at.
    """

    leaks: tuple[Leak, ...]
    remarks: tuple[Leak, ...]
    num_rows: int

    def __str__(self) -> str:
        lines = [f"LEAK {leak}" for leak in self.leaks] + [f"note {remark}" for remark in self.remarks]
        return "\n".join(
            [*lines, f"{self.num_rows} rows, {len(self.leaks)} leaks, {len(self.remarks)} notes"]
        )


class LeakError(ValueError):
    """A folder holds something that must not be published."""


def find_leaks(folder: str | os.PathLike, *, keys: Sequence[SecretKey] = ()) -> LeakReport:
    """Inspect a folder as it would be published: the bytes of every file, every row of every Parquet file.

    Leaks: plain pictures (a second image column, arrays or other bytes, picture files, images of a wrong size
    or whose patches continue each other); paths and file names, in values or metadata; EXIF, ICC, XMP,
    comments, text chunks or trailing bytes in an image; a key or an access token; keyed rows without a nonce,
    or two with one; pickled files, such as Trainer's `training_args.bin`; files that nobody expects. A folder
    without data is taken for a checkpoint.

    It finds what it looks for, and is no proof that nothing else is there.

    Args:
        folder: of an encrypted dataset or of a checkpoint.
        keys: keys whose bytes must not be in any file.

    Returns:
        Leaks, and remarks on columns that could identify people: free text, unique values, times, class
        names, row order.

    Raises:
        FileNotFoundError: there is no such folder.

    Example:

        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "john_doe.png").touch()
        >>> print(find_leaks(folder).leaks[0])
        john_doe.png: a picture file beside the data may be plain; remove it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: {folder} is no folder; give one, or a repository on the Hub.")
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    leaks = [Leak(name, reason) for name, path in paths.items() for reason in _in_file(name, path, keys)]
    splits = _splits(paths)
    if not splits:
        return LeakReport(tuple(leaks), (), 0)
    encryption = _read_settings(folder, leaks)
    remarks, num_rows = [], 0
    for split, shards in splits.items():
        found = inspect_split(shards, encryption, keyed=_is_keyed(folder), keys=keys)
        leaks += [Leak(f"{split}, {place}", reason) for place, reason in found.leaks]
        remarks += [Leak(f"{split}, {place}", reason) for place, reason in found.remarks]
        num_rows += found.num_rows
    return LeakReport(tuple(leaks), tuple(remarks), num_rows)


def find_leaks_in_repo(
    repo_id: str, *, repo_type: str = "dataset", token: str | None = None, keys: Sequence[SecretKey] = ()
) -> LeakReport:
    """Download a repository of the Hub into a folder that goes away, and inspect it like `find_leaks`."""
    from huggingface_hub import snapshot_download

    with tempfile.TemporaryDirectory(prefix="hipmr-") as folder:
        snapshot_download(repo_id, repo_type=repo_type, token=token, local_dir=folder)
        return find_leaks(folder, keys=keys)


def check_no_leaks(folder: str | os.PathLike, *, keys: Sequence[SecretKey] = ()) -> LeakReport:
    """Inspect a folder like `find_leaks`, and refuse it if anything was found.

    Raises:
        LeakError: there is a leak; the message tells the first and how many there are.
    """
    report = find_leaks(folder, keys=keys)
    if report.leaks:
        raise LeakError(
            f"{folder} must not be published: {report.leaks[0]} ({len(report.leaks)} leaks; "
            f"`hipmr audit --leaks {folder}` lists them)"
        )
    return report


def _splits(paths: dict[str, Path]) -> dict[str, list[Path]]:
    """Group the parquet files by split; those of other names are a split of their own."""
    splits: dict[str, list[Path]] = {}
    for name, path in paths.items():
        if path.suffix == ".parquet":
            match = _SHARD.fullmatch(path.name)
            splits.setdefault(match["split"] if match else name, []).append(path)
    return splits


def _read_settings(folder: Path, leaks: list[Leak]) -> Encryption | None:
    try:
        return Encryption.from_pretrained(folder)
    except FileNotFoundError:
        reason = "missing, so nothing says that the images are encrypted; encrypt with `hipmr encrypt`."
    except (TypeError, ValueError) as error:
        reason = f"cannot be read: {error}"
    leaks.append(Leak(CONFIG_NAME, reason))
    return None


def key_id_in(card: str) -> str | None:
    """Return the id of the key that a dataset card names: its rows were encrypted with that key.

    Example:

        >>> key_id_in("  key_id: 9a9b3f5443294efc")
        '9a9b3f5443294efc'
    """
    match = _KEY_ID.search(card)
    return match[1] if match else None


def _is_keyed(folder: Path) -> bool:
    card = folder / "README.md"
    return card.is_file() and key_id_in(card.read_text(encoding="utf-8")) is not None


def _in_file(name: str, path: Path, keys: Sequence[SecretKey]) -> Iterator[str]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        if not (name.startswith(f"{DATA_FOLDER}/") and _SHARD.fullmatch(path.name)):
            yield "its name is not that of a shard, and may be the source's; write it with `hipmr encrypt`."
    elif suffix in _PICTURES:
        yield "a picture file beside the data may be plain; remove it."
    elif suffix in _PICKLES:
        yield "a pickled file may hold paths and settings of your machine; remove it."
    elif suffix not in (*_TEXT, ".safetensors") and not name.startswith(_HARMLESS):
        yield "nobody expects this file here; remove it."
    yield from _in_bytes(path, is_text=suffix in _TEXT, keys=keys)


def _in_bytes(path: Path, *, is_text: bool, keys: Sequence[SecretKey]) -> Iterator[str]:
    found = set()
    for piece in _overlapping_pieces(path):
        if _KEY_FILE in piece or any(holds_key(piece, key) for key in keys):
            found.add("it holds a secret key; remove it, and use another key from now on.")
        if _TOKEN.search(piece):
            found.add("it holds what looks like an access token; remove it, and revoke the token.")
        if is_text and _LOCAL_PATH.search(piece):
            found.add("it holds a path of a local file system; take it out.")
    yield from sorted(found)


def _overlapping_pieces(path: Path) -> Iterator[bytes]:
    """Read a file in pieces that share some bytes, so that nothing hides between two."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            yield tail + piece
            tail = piece[-128:]
