"""One run over a pool: encrypt a source part by part, so that a killed run goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..encryption.keys import SecretKey
from ..errors import InputValueError
from ..files import put_in_place
from ..hub.card_renewal import save_card
from ..hub.cards import card_of_folder
from ..leaks.guard import check_no_leaks
from ..progress.bars import progress_bar
from .job import EncryptionJob, Told, forget, opened_source
from .join import RESULT, begin_result, write_shards
from .parts import Part
from .phases import Phases
from .pieces import count_parts, encrypt_part, look_for_leaks, notes_of, piece_path
from .rows import RowEncryptionError
from .source import DamagedSourceError, PlainSource, source_path
from .sources.account import ACCOUNT, account_path
from .sources.listing import SourceOptions
from .unfinished import check_is_free_or_unfinished, is_complete, unfinished_folder

if TYPE_CHECKING:
    from .pool import Pool

logger: logging.Logger = logging.getLogger(__name__)

_MAX_LOGGED_ROWS = 50


def encrypt_source(
    job: EncryptionJob,
    source: Sequence[str],
    output_dir: Path,
    *,
    options: SourceOptions | None = None,
    num_proc: int = 1,
    engine: str = "local",
    key_file: str | None = None,
    num_shards: int | None = None,
    repo_id: str | None = None,
    license: str | None = None,
    on_start: Callable[[PlainSource], object] | None = None,
    on_complete: Callable[[Path], object] | None = None,
    phases: Phases | None = None,
) -> Path:
    """Encrypt a source into a new folder, as `save_encrypted_dataset` writes it; streaming, and resumable.

    A dataset card goes with it, and nothing is put in place before its bytes were inspected for leaks; what
    could identify people is logged. Finished pieces lie beside the folder, in `.NAME.unfinished`: encrypted
    rows only. A run with the same arguments takes them over, so that every row comes once, whatever killed
    the run before.

    With the engine "ray" all machines see the source and the output under the same paths (a source may also
    be on the Hub). They are told numbers: plain rows are read, encrypted and written in one process, and
    neither they nor encrypted ones pass Ray's object store. See `docs/clusters.md`.

    Args:
        job: what is done with every row.
        source, options: as in `open_source`.
        output_dir: a folder that does not exist yet or is empty; for "ray", on a file system that all
            machines share.
        num_proc: worker processes of the engine "local".
        engine: "local", this machine; or "ray", all machines of a Ray cluster.
        key_file: for "ray", a key file at this path on every machine; a key never travels, so the job has
            none.
        num_shards: Parquet files of each split; by default one for each 500 MB. Never more than rows.
        repo_id: where it will be published, for the card; by default the folder's name.
        license: for the card.
        on_start: called with the source when all arguments are found to fit, before the work; not if a run
            before this one has done it all.
        on_complete: called with the folder when it is complete. If it raises, a run with the same arguments
            encrypts nothing and calls it again.
        phases: is told how long each phase took.

    Returns:
        The path of the folder.

    Raises:
        FileInUseError: output_dir is in use; raised before any work.
        InputValueError: an argument does not fit; or pieces of a run with other arguments are there.
        LeakError: something in the result must not be published.
        LostWorkerError, UnreachableError: a worker or a cluster was lost; what is finished is kept.
        RowEncryptionError: a picture cannot be encrypted.

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
    if num_shards is not None and num_shards < 1:
        raise InputValueError(f"num_shards: got {num_shards}, allowed are whole numbers from 1.")
    check_is_free_or_unfinished(output_dir)
    keyed = _with_key(job, engine, key_file)
    phases = phases or Phases()
    places, options = tuple(map(source_path, source)), options or SourceOptions(image_column=job.image_column)
    with contextlib.ExitStack() as stack:
        pool = _pool(engine, num_proc, with_key=keyed.key is not None)
        stack.callback(pool.close)
        stack.callback(forget)
        with phases.phase("walk"):
            plain = opened_source(places, options)
        for split in plain.splits.values():
            keyed.function_for(split)  # tells what is wrong with the columns
        job.warn()
        work = stack.enter_context(unfinished_folder(output_dir, keyed.identity(plain.identity, options)))
        if not is_complete(output_dir):  # else the run before was stopped after that
            if on_start is not None:
                on_start(plain)
            pool.put(_told(job, places, options, plain, work, key_file, keyed.key))
            result = _encrypt(pool, job, plain, work, num_shards, phases)
            key_id = None if keyed.key is None else keyed.key.key_id
            told = {"repo_id": repo_id or output_dir.name, "key_id": key_id, "license": license}
            with phases.phase("card"):
                save_card(card_of_folder(result, job.encryption, **told), result)
            with phases.phase("leaks"):
                _inspect(pool, result, keyed.key)
            # Written in the run's own folder: what a kill leaves of it goes with that.
            os.replace(plain.account.save(work / ACCOUNT), account_path(output_dir))
            put_in_place(result, output_dir)
        if on_complete is not None:
            on_complete(output_dir)
    return output_dir


def _with_key(job: EncryptionJob, engine: str, key_file: str | None) -> EncryptionJob:
    if engine == "ray" and job.key is not None:
        raise InputValueError(
            "job: it holds a key, which never travels; give key_file, which each machine reads."
        )
    return job if key_file is None else dataclasses.replace(job, key=SecretKey.load(key_file))


def _pool(engine: str, num_proc: int, *, with_key: bool) -> Pool:
    if engine == "ray":
        from .ray_pool import RayPool

        return RayPool()
    if engine != "local":
        raise InputValueError(f"engine: got {engine!r}, allowed are 'local' and 'ray'.")
    from .local_pool import LocalPool

    return LocalPool(num_proc, with_key=with_key)


def _told(
    job: EncryptionJob,
    places: tuple[str, ...],
    options: SourceOptions,
    plain: PlainSource,
    work: Path,
    key_file: str | None,
    key: SecretKey | None,
) -> Told:
    return Told(
        job,
        places,
        options,
        plain.identity,
        str(work.absolute()),
        key_file=None if key_file is None else str(Path(key_file).absolute()),
        key_id=None if key is None else key.key_id,
    )


def _encrypt(
    pool: Pool,
    job: EncryptionJob,
    plain: PlainSource,
    work: Path,
    num_shards: int | None,
    phases: Phases,
) -> Path:
    """Encrypt all parts, and write them as one dataset; returns its folder."""
    files = [(split, file) for split, rows in plain.splits.items() for file in range(rows.num_files)]
    with phases.phase("encrypt"):
        counts = zip(files, pool.map(count_parts, files), strict=True)
        parts = [Part(*file, i) for file, count in counts for i in range(count)]
        notes = _encrypt_parts(pool, parts, work, plain.total_rows)
    begin_result(work)
    for split in plain.splits:
        of_split = {part: notes[part] for part in parts if part.split == split}
        _account_for(plain, split, list(of_split.values()))
        written = {piece_path(work, part): note["written"] for part, note in of_split.items()}
        with phases.phase("join"):
            write_shards(pool, work, split, written, num_shards, shuffle=job.shuffle_rows)
    job.encryption.save_pretrained(work / RESULT)
    return work / RESULT


def _encrypt_parts(
    pool: Pool, parts: list[Part], work: Path, total_rows: int | None
) -> dict[Part, dict[str, Any]]:
    notes = {part: note for part in parts if (note := notes_of(piece_path(work, part))) is not None}
    done = sum(note["rows"] for note in notes.values())
    if done:
        of_all = "" if total_rows is None else f" of {total_rows:,}"
        logger.warning("Going on: an earlier run has finished %s%s rows.", f"{done:,}", of_all)
    todo = [part for part in parts if part not in notes]
    results = pool.map(encrypt_part, todo)
    with progress_bar(what="Encrypting", unit="rows", total=total_rows, done=done) as bar:
        for part in todo:
            with _told_by_row(part, parts, notes):
                notes[part] = next(results)
            bar.update(notes[part]["rows"])
    return notes


@contextlib.contextmanager
def _told_by_row(part: Part, parts: list[Part], notes: dict[Part, dict[str, Any]]) -> Iterator[None]:
    """Count rows from the beginning of the split, not of the part: all parts before it are done."""
    try:
        yield
    except (RowEncryptionError, DamagedSourceError) as error:
        before = sum(notes[other]["rows"] for other in parts if other.split == part.split and other < part)
        raise error.in_split(part.split, before) from None


def _account_for(plain: PlainSource, split: str, notes: list[dict[str, Any]]) -> None:
    """Note which rows of a split are in the result, and which are not and why; log how many."""
    account, before, skipped = plain.account, 0, []
    for note in notes:
        for row, reason in note["skipped"]:
            skipped.append(before + row)
            account.skip(plain.splits[split].name_of(before + row) or f"{split}, row {before + row}", reason)
        before += note["rows"]
    account.written[split] = sum(note["written"] for note in notes)
    if plain.total_rows is None:
        account.found += before
    if skipped:
        listed = ", ".join(map(str, skipped[:_MAX_LOGGED_ROWS]))
        more = f" and {len(skipped) - _MAX_LOGGED_ROWS} more" if len(skipped) > _MAX_LOGGED_ROWS else ""
        logger.warning("Skipped %d rows of %s: %s%s.", len(skipped), split, listed, more)
    if dropped := sum(note["dropped"] for note in notes):
        logger.warning("Dropped %d objects in %s whose area lies outside of the crop.", dropped, split)


def _inspect(pool: Pool, folder: Path, key: SecretKey | None) -> None:
    """Refuse a folder that leaks, and log what could identify people."""

    def each(function: Callable[[Any, Sequence[SecretKey]], Any], items: Sequence[Any]) -> Iterator[Any]:
        results = pool.map(look_for_leaks, [(function, item) for item in items])
        return iter(progress_bar(results, what="Searching for leaks", unit="parts", total=len(items)))

    report = check_no_leaks(folder, keys=[] if key is None else [key], each=each)
    for remark in report.remarks:
        logger.warning("Before you publish it: %s", remark)
