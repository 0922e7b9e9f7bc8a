"""Encrypt a source piece by piece, so that a killed run goes on where it stopped."""

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, IterableDataset
from huggingface_hub import DatasetCard
from tqdm.auto import tqdm

from . import __version__
from .card_renewal import save_card
from .cards import DatasetFacts, column_in_words, dataset_card
from .encrypted_parquet import DATA_FOLDER, save_encrypted_tables
from .encryption import Encryption
from .image_reading import check_image_format, warn_of_smear
from .keys import SecretKey
from .leak_guard import check_no_leaks
from .plain_source import PlainSource, damage_told, open_source
from .publishable_columns import DEFAULT_KEEP_COLUMNS, check_columns, encrypted_features
from .row_encryption import DROPPED_BOXES_COLUMN, OBJECTS_COLUMN, ROW_NUMBER_COLUMN, RowEncryption
from .row_order import in_random_order
from .unfinished_folder import check_is_free, is_complete, put_in_place, unfinished_folder
from .worker_processes import Workers, worker_processes

logger = logging.getLogger(__name__)

# Rows of one piece: what a kill can cost, and what a worker holds at once.
_PIECE_ROWS = 64
_JOINED_ROWS = 32
_MAX_LOGGED_ROWS = 50
_NOTES = b"hipmr"
_RESULT = "result"


@dataclasses.dataclass(frozen=True)
class EncryptionJob:
    """What is to be done with every row; see `encrypt_dataset` for the arguments.

    Args:
        encryption, key, image_column, image_format, jpeg_quality, on_error: as there.
        keep_columns: as there; None keeps label and objects where they exist.
        shuffle_rows: put the rows of each split into random order.
    """

    encryption: Encryption
    key: SecretKey | None = None
    image_column: str = "image"
    keep_columns: tuple[str, ...] | None = None
    image_format: str = "png"
    jpeg_quality: int = 95
    on_error: str = "raise"
    shuffle_rows: bool = False

    def __post_init__(self) -> None:
        check_image_format(self.image_format, self.jpeg_quality)
        if self.key is not None and not self.encryption.draws_randomness:
            raise ValueError("key: these settings draw no randomness, so a key has no effect; leave it out.")

    def warn(self) -> None:
        """Say, once a run, what is allowed and hardly wanted."""
        warn_of_smear(self.image_format, self.encryption.encrypted_patch_size)

    def identity(self, source: PlainSource) -> dict[str, Any]:
        """Return what must be the same when a run goes on: all that rows depend on; no key, no name."""
        return {
            "release": __version__,
            "source": source.identity,
            "encryption": self.encryption.to_dict(),
            "key": None if self.key is None else self.key.key_id,
            "keep_columns": None if self.keep_columns is None else list(self.keep_columns),
            "image": [self.image_column, self.image_format, self.jpeg_quality],
            "engine": ["local", _PIECE_ROWS],
        }

    def function_for(self, plain: IterableDataset) -> tuple[RowEncryption, Features]:
        """Return the function that encrypts rows of a split, and the features that come out."""
        keep = DEFAULT_KEEP_COLUMNS if self.keep_columns is None else self.keep_columns
        with_nonce = self.key is not None
        kept = check_columns(plain, self.encryption, self.image_column, keep, with_nonce=with_nonce)
        function = RowEncryption(
            self.encryption,
            self.image_column,
            kept,
            key=self.key,
            image_format=self.image_format,
            jpeg_quality=self.jpeg_quality,
            on_error=self.on_error,
            count_rows=True,
        )
        features = encrypted_features(plain.features, function)
        if OBJECTS_COLUMN in features:
            function = dataclasses.replace(function, object_fields=tuple(features[OBJECTS_COLUMN]))
        return function, features


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Some rows on their way to a worker, and the file that they go to."""

    function: RowEncryption
    features: Features
    rows: dict[str, list[Any]]
    start: int
    path: Path


def encrypt_source(
    job: EncryptionJob,
    source: Sequence[str],
    output_dir: Path,
    *,
    config_name: str | None = None,
    num_proc: int = 1,
    repo_id: str | None = None,
    license: str | None = None,
    on_complete: Callable[[Path], object] | None = None,
) -> Path:
    """Encrypt a source into a new folder, as `save_encrypted_dataset` writes it; streaming, and resumable.

    A dataset card goes with it, and nothing is put in place before its bytes were inspected for leaks; what
    could identify people is logged. Finished pieces lie beside the folder, in `.NAME.unfinished`: encrypted
    rows only. A run with the same arguments takes them over, so that every row comes once, whatever killed
    the run before.

    Args:
        job: what is done with every row.
        source, config_name: as in `open_source`.
        output_dir: a folder that does not exist yet or is empty.
        num_proc: worker processes.
        repo_id: where it will be published, for the card; by default the folder's name.
        license: for the card.
        on_complete: called with the folder when it is complete. If it raises, a run with the same arguments
            encrypts nothing and calls it again.

    Returns:
        The path of the folder.

    Raises:
        ChildProcessError: a worker process was killed, by whomever; what is finished is kept.
        FileExistsError: output_dir is in use; raised before any work.
        LeakError: something in the result must not be published.
        RowEncryptionError: a picture cannot be encrypted.
        ValueError: an argument does not fit; or pieces of a run with other arguments are there.

    Example:

        >>> import tempfile, PIL.Image
        >>> from hipmr_hf import MixingUp
        >>> parent = Path(tempfile.mkdtemp())
        >>> (parent / "plain").mkdir()
        >>> PIL.Image.new("RGB", (32, 32)).save(parent / "plain" / "john.png")
        >>> job = EncryptionJob(MixingUp(patch_size=8))
        >>> folder = encrypt_source(job, [str(parent / "plain")], parent / "encrypted")
        >>> sorted(path.name for path in folder.rglob("*.*"))
        ['README.md', 'encryption_config.json', 'train-00000-of-00001.parquet']
    """
    if num_proc < 1:
        raise ValueError(f"num_proc: got {num_proc}, allowed are whole numbers from 1.")
    check_is_free(output_dir)
    job.warn()
    with (
        worker_processes(num_proc, with_key=job.key is not None) as workers,
        _plain(job, source, config_name) as plain,
    ):
        functions = {name: job.function_for(split) for name, split in plain.splits.items()}
        parts = plain.with_small_parts()
        with unfinished_folder(output_dir, job.identity(plain)) as work:
            if not is_complete(output_dir):  # else the run before was stopped after that
                for name, split in parts.splits.items():
                    _encrypt_split(split, *functions[name], work / name, workers, parts.num_rows[name])
                result = _join({name: features for name, (_, features) in functions.items()}, work, job)
                save_card(card_of(result, job, repo_id or output_dir.name, license), result)
                inspect_result(result, job)
                put_in_place(result, output_dir)
            if on_complete is not None:
                on_complete(output_dir)
    return output_dir


def card_of(folder: Path, job: EncryptionJob, repo_id: str, license: str | None) -> DatasetCard:
    """Return the dataset card of a finished folder."""
    splits: dict[str, int] = {}
    for path in sorted((folder / DATA_FOLDER).iterdir()):
        split = path.name.split("-")[0]
        splits[split] = splits.get(split, 0) + pq.read_metadata(path).num_rows
        features = Features.from_arrow_schema(pq.read_schema(path))
    return dataset_card(
        DatasetFacts(
            repo_id,
            job.encryption,
            splits,
            columns={name: column_in_words(feature) for name, feature in features.items()},
            key_id=None if job.key is None else job.key.key_id,
            image_format=job.image_format,
            license=license,
        )
    )


def inspect_result(folder: Path, job: EncryptionJob) -> None:
    """Refuse a folder that leaks, and log what could identify people."""
    with tqdm(desc="Searching for leaks", disable=None, bar_format="{desc} ..."):
        report = check_no_leaks(folder, keys=[] if job.key is None else [job.key])
    for remark in report.remarks:
        logger.warning("Before you publish it: %s", remark)


def _plain(
    job: EncryptionJob, source: Sequence[str], config_name: str | None
) -> contextlib.AbstractContextManager[PlainSource]:
    return open_source(source, image_column=job.image_column, config_name=config_name)


def _encrypt_split(
    plain: IterableDataset,
    function: RowEncryption,
    features: Features,
    folder: Path,
    workers: Workers,
    num_rows: int | None,
) -> None:
    folder.mkdir(exist_ok=True)
    columns = [function.image_column, *function.kept_columns]
    rows = plain.with_format(None).select_columns(columns)
    rows = rows.cast_column(function.image_column, Image(decode=False))
    done = next(i for i in itertools.count() if not _piece_path(folder, i).exists())
    if done:
        logger.warning("Going on after %d rows that an earlier run has finished.", done * _PIECE_ROWS)
        rows = rows.skip(done * _PIECE_ROWS)
    pieces = (
        _Piece(function, features, batch, i * _PIECE_ROWS, _piece_path(folder, i))
        for i, batch in enumerate(_batches(rows, folder.name, done), start=done)
        if not _piece_path(folder, i).exists()
    )
    start = {"initial": done * _PIECE_ROWS, "total": num_rows}
    with tqdm(desc=f"Encrypting {folder.name}", unit=" rows", disable=None, **start) as bar:
        for count in workers(_encrypt_piece, pieces):
            bar.update(count)


def _batches(rows: IterableDataset, split: str, done: int) -> Iterator[dict[str, list[Any]]]:
    batches = rows.iter(batch_size=_PIECE_ROWS)
    for number in itertools.count(done):
        with damage_told(f"{split}, from row {number * _PIECE_ROWS} (counted from 0) on,"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _piece_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.parquet"


def _encrypt_piece(piece: _Piece) -> int:
    """Encrypt the rows of a piece and write them, wholly or not at all; returns their number."""
    count = len(piece.rows[piece.function.image_column])
    numbers = range(piece.start, piece.start + count)
    columns = piece.function(piece.rows, numbers)
    done, dropped = columns.pop(ROW_NUMBER_COLUMN), sum(columns.pop(DROPPED_BOXES_COLUMN))
    notes = json.dumps({"skipped": sorted(set(numbers) - set(done)), "dropped": dropped})
    table = pa.Table.from_pydict(columns, schema=piece.features.arrow_schema)
    beside = piece.path.with_suffix(f".{os.getpid()}")
    pq.write_table(table.replace_schema_metadata({_NOTES: notes}), beside)
    os.replace(beside, piece.path)
    return count


def _join(features: dict[str, Features], work: Path, job: EncryptionJob) -> Path:
    """Write the pieces as one dataset, without what they noted; returns its folder."""
    for left in (*work.glob(f"{_RESULT}*"), *work.glob(f".{_RESULT}*")):  # of a run that was killed
        shutil.rmtree(left)
    splits = {}
    for name, of_split in features.items():
        paths = sorted((work / name).glob("*.parquet"))
        pieces = [pq.read_metadata(path) for path in paths]
        _report(name, [piece.metadata[_NOTES] for piece in pieces])
        if job.shuffle_rows:
            paths = in_random_order(paths, work / f"{_RESULT}-{name}")
        splits[name] = of_split, _tables_of(paths, name, sum(piece.num_rows for piece in pieces))
    return save_encrypted_tables(splits, job.encryption, work / _RESULT)


def _tables_of(paths: list[Path], split: str, num_rows: int) -> Iterator[pa.Table]:
    with tqdm(desc=f"Joining {split}", unit=" rows", disable=None, total=num_rows) as bar:
        for path in paths:
            with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read stays in memory
                for batch in file.iter_batches(batch_size=_JOINED_ROWS):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata(None)
                    bar.update(len(batch))


def _report(split: str, notes: Iterable[bytes]) -> None:
    read = [json.loads(note) for note in notes]
    skipped = [row for note in read for row in note["skipped"]]
    report_left_out(split, skipped, sum(note["dropped"] for note in read))


def report_left_out(split: str, skipped: Sequence[int], dropped: int) -> None:
    """Log which rows of a split, and how many objects, are not in the result."""
    if skipped:
        listed = ", ".join(map(str, skipped[:_MAX_LOGGED_ROWS]))
        more = f" and {len(skipped) - _MAX_LOGGED_ROWS} more" if len(skipped) > _MAX_LOGGED_ROWS else ""
        logger.warning("Skipped %d rows of %s: %s%s.", len(skipped), split, listed, more)
    if dropped:
        logger.warning("Dropped %d objects in %s whose area lies outside of the crop.", dropped, split)
