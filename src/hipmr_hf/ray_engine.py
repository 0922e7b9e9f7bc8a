"""Encrypt a source on a cluster with Ray Data, where one machine is too small. Needs `hipmr-hf[ray]`."""

import dataclasses
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .card_renewal import save_card
from .cluster_work import (
    ClusterJob,
    count_parts,
    deal_rows,
    encrypt_part,
    join_dealt,
    join_rows,
    notes_of,
    piece_path,
)
from .encrypted_parquet import DATA_FOLDER, MAX_SHARD_BYTES
from .keys import SecretKey
from .ray_calls import Cluster, connected, import_ray
from .resumable_encryption import EncryptionJob, card_of, inspect_result, report_left_out
from .source_parts import Part, PartedSource
from .unfinished_folder import check_is_free, is_complete, put_in_place, unfinished_folder

# Rows that are put into random order at once, and the most that Arrow can move in one column.
_DEALT_BYTES, _MOST_SHUFFLED_BYTES = 256 * 2**20, 2**30
_RESULT, _DEALT = "result", "dealt"


def encrypt_dataset_ray(
    job: EncryptionJob,
    source: Sequence[str],
    output_dir: Path,
    *,
    key_file: str | os.PathLike | None = None,
    num_shards: int | None = None,
    config_name: str | None = None,
    repo_id: str | None = None,
    license: str | None = None,
    on_complete: Callable[[Path], object] | None = None,
) -> Path:
    """Encrypt a source on all machines of a Ray cluster, into a folder as `encrypt_source` makes it.

    Rows, order, features, settings file, card and the search for leaks are the same. Ray finds the cluster
    (`RAY_ADDRESS`, or the one of this machine); without one, it starts on this machine alone, on the loopback
    interface, and ends with the run. All machines see the source and the output under the same paths; a
    source may also be on the Hub. Ray carries numbers: plain rows are read, encrypted and written in one
    process, and neither they nor encrypted ones pass Ray's object store. Each machine reads the key from its
    own file.

    Work of a process or machine that dies is done again elsewhere. A killed run goes on when the same command
    is given again. See `docs/clusters.md`.

    Args:
        job: what is done with every row; without a key.
        source, config_name: as in `open_source`.
        output_dir: a folder that does not exist yet or is empty, on a file system that all machines share.
        key_file: a key file, at this path on every machine.
        num_shards: Parquet files of each split; by default one for each 500 MB. Never more than rows.
        repo_id, license, on_complete: as in `encrypt_source`.

    Returns:
        The path of the folder.

    Raises:
        ConnectionError: the cluster is lost, or the same work failed on it again and again.
        FileExistsError, LeakError, RowEncryptionError: as in `encrypt_source`.
        ValueError: as there; or Ray is not installed.
    """
    ray = import_ray()
    if num_shards is not None and num_shards < 1:
        raise ValueError(f"num_shards: got {num_shards}, allowed are whole numbers from 1.")
    if job.key is not None:
        raise ValueError("job: it holds a key, which never travels; give key_file, which each machine reads.")
    check_is_free(output_dir)
    job.warn()
    key = None if key_file is None else SecretKey.load(key_file)
    keyed = dataclasses.replace(job, key=key)
    parted = PartedSource(source, image_column=job.image_column, config_name=config_name)
    for split in parted.plain.splits.values():
        keyed.function_for(split)  # tells what is wrong with the columns
    identity = {**keyed.identity(parted.plain), "engine": ["ray"]}
    with unfinished_folder(output_dir, identity) as work:
        if not is_complete(output_dir):
            told = _told_to_machines(job, source, config_name, parted, work, key_file, key)
            with connected(ray):
                result = _encrypt(Cluster(ray, told), parted, num_shards)
            save_card(card_of(result, keyed, repo_id or output_dir.name, license), result)
            inspect_result(result, keyed)
            put_in_place(result, output_dir)
        if on_complete is not None:
            on_complete(output_dir)
    return output_dir


def _told_to_machines(
    job: EncryptionJob,
    source: Sequence[str],
    config_name: str | None,
    parted: PartedSource,
    work: Path,
    key_file: str | os.PathLike | None,
    key: SecretKey | None,
) -> ClusterJob:
    # A path that exists here is one of the file system; anything else is a dataset on the Hub.
    places = tuple(str(Path(place).absolute()) if Path(place).exists() else place for place in source)
    return ClusterJob(
        job,
        places,
        config_name,
        parted.plain.identity,
        str(work.absolute()),
        key_file=None if key_file is None else str(Path(key_file).absolute()),
        key_id=None if key is None else key.key_id,
    )


def _encrypt(cluster: Cluster, parted: PartedSource, num_shards: int | None) -> Path:
    """Encrypt all parts, and write them as one dataset; returns its folder."""
    parts = _parts(cluster, parted)
    notes = {part: notes_of(path) for part in parts if (path := piece_path(cluster.work, part)).exists()}
    _encrypt_parts(cluster, [part for part in parts if part not in notes], notes)
    for left in (_RESULT, _DEALT):  # of a run that was killed
        shutil.rmtree(cluster.work / left, ignore_errors=True)
    (cluster.work / _RESULT / DATA_FOLDER).mkdir(parents=True)
    for split in parted.plain.splits:
        of_split = {part: notes[part] for part in parts if part.split == split}
        _report(split, list(of_split.values()))
        _write_shards(cluster, split, of_split, num_shards)
    cluster.told.job.encryption.save_pretrained(cluster.work / _RESULT)
    return cluster.work / _RESULT


def _parts(cluster: Cluster, parted: PartedSource) -> list[Part]:
    files = [
        {"split": split, "file": file}
        for split in parted.plain.splits
        for file in range(parted.num_files(split))
    ]
    counted = cluster.call(count_parts, files)
    return sorted(Part(**file, number=i) for file, count in counted for i in range(count))


def _encrypt_parts(cluster: Cluster, parts: list[Part], notes: dict[Part, dict[str, Any]]) -> None:
    done = sum(note["rows"] for note in notes.values())
    if done:
        logging.getLogger(__name__).warning("Going on after %d rows that an earlier run has finished.", done)
    with tqdm(desc="Encrypting", unit=" rows", disable=None, initial=done) as bar:
        for arguments, note in cluster.call(encrypt_part, [dataclasses.asdict(part) for part in parts]):
            notes[Part(**arguments)] = note
            bar.update(note["rows"])


def _report(split: str, notes: list[dict[str, Any]]) -> None:
    skipped, before = [], 0
    for note in notes:
        skipped += [before + row for row in note["skipped"]]
        before += note["rows"]
    report_left_out(split, skipped, sum(note["dropped"] for note in notes))


def _write_shards(
    cluster: Cluster, split: str, notes: dict[Part, dict[str, Any]], num_shards: int | None
) -> None:
    counts = {piece_path(cluster.work, part): note["written"] for part, note in notes.items()}
    num_rows, size = sum(counts.values()), sum(path.stat().st_size for path in counts)
    if num_rows == 0:
        raise ValueError(
            f"source: split {split!r} has no rows left, and load_dataset fails at an empty split; leave it "
            "out, or find out with on_error='raise' why all of its rows were skipped."
        )
    num_shards = min(num_rows, num_shards or math.ceil(size / MAX_SHARD_BYTES))
    shards = [
        f"{_RESULT}/{DATA_FOLDER}/{split}-{i:05d}-of-{num_shards:05d}.parquet" for i in range(num_shards)
    ]
    if cluster.told.job.shuffle_rows:
        _shuffle(cluster, split, list(counts), size, shards)
        return
    pieces = {str(path.relative_to(cluster.work)): count for path, count in counts.items()}
    calls = [
        {
            "pieces": _between(pieces, i * num_rows // num_shards, (i + 1) * num_rows // num_shards),
            "shard": shard,
        }
        for i, shard in enumerate(shards)
    ]
    _all(cluster.call(join_rows, calls), f"Joining {split}", len(calls))


def _between(pieces: dict[str, int], first: int, last: int) -> list[tuple[str, int, int]]:
    """Return which rows of which pieces are the rows from `first` to before `last` of all.

    Example:

        >>> _between({"a": 4, "b": 0, "c": 5}, 3, 7)
        [('a', 3, 4), ('c', 0, 3)]
    """
    found, before = [], 0
    for name, count in pieces.items():
        start, end = max(first - before, 0), min(last - before, count)
        if start < end:
            found.append((name, start, end))
        before += count
    return found


def _shuffle(cluster: Cluster, split: str, pieces: list[Path], size: int, shards: list[str]) -> None:
    least = math.ceil(size / _MOST_SHUFFLED_BYTES)
    if len(shards) < least:
        raise ValueError(
            f"num_shards: got {len(shards)} for {size} bytes of {split!r}, but of a shard only "
            f"{_MOST_SHUFFLED_BYTES} can be shuffled; give at least {least}, or none."
        )
    (cluster.work / _DEALT / split).mkdir(parents=True)
    groups = _groups(pieces)
    dealt = [f"{_DEALT}/{split}/{i:06d}.arrow" for i in range(len(groups))]
    calls = [
        {
            "pieces": [str(path.relative_to(cluster.work)) for path in group],
            "num_shards": len(shards),
            "dealt": name,
        }
        for group, name in zip(groups, dealt, strict=True)
    ]
    _all(cluster.call(deal_rows, calls), f"Dealing {split} out", len(calls))
    calls = [{"dealt": dealt, "number": i, "shard": shard} for i, shard in enumerate(shards)]
    _all(cluster.call(join_dealt, calls), f"Joining {split}", len(calls))


def _groups(pieces: list[Path]) -> list[list[Path]]:
    """Group consecutive files, so that the rows of a group can be held in memory."""
    groups: list[list[Path]] = []
    room = 0
    for path in pieces:
        size = path.stat().st_size
        if size > room:
            groups.append([])
            room = _DEALT_BYTES
        groups[-1].append(path)
        room -= size
    return groups


def _all(results: Iterator[Any], what: str, count: int) -> None:
    for _ in tqdm(results, desc=what, unit=" files", disable=None, total=count):
        pass
