"""People found through encrypted pictures of them, for `linkage.py`: five are known, five asked for."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.attacks.recognised_pictures import PEOPLE, PICTURES, portraits
from benchmarks.harness.settings import BOTH, MIXED, mixing, shuffling
from hipmr_hf import Encryption
from hipmr_hf.attacks.linkage_learned import link_labelled
from hipmr_hf.encryption.preset_table import PRESETS

LABELLED = 5


def settings() -> dict[str, Encryption]:
    """The presets, and settings beside them."""
    turned = {"sub_patch_symmetries": True}
    return {
        **{name: Encryption.from_preset(name) for name in PRESETS},
        "MI, symmetries, normalization": mixing(**BOTH),
        "RS+MI, symmetries": shuffling(**MIXED, **turned),
        "RS+MI, symmetries, normalization": shuffling(**MIXED, **BOTH),
        "RS+MI, symmetries, tones apart": shuffling(**MIXED, **turned, shuffle_tones=True),
    }


def link_people(data_dir: Path, done: Sequence[dict] = ()) -> Iterator[list[dict]]:
    """Learn 40 people from five encrypted portraits each, and ask for five others: a record a setting.

    Args:
        data_dir: where the portraits lie.
        done: records of an earlier run, which are taken over.

    Yields:
        All records so far, whenever there is another one.
    """
    plain, people = portraits(data_dir), np.repeat(np.arange(PEOPLE), PICTURES)
    known = np.arange(len(plain)) % PICTURES < LABELLED
    records = list(done)
    for name, encryption in settings().items():
        if name in {record["setting"] for record in records}:
            continue
        started, encrypted = time.process_time(), encryption.encrypt_batch(plain)
        result = link_labelled(
            encrypted[known], people[known], encrypted[~known], people[~known], encryption=encryption
        )
        seconds = round(time.process_time() - started, 1)
        record = {"setting": name, "queries": len(result.found), "top1": result.top1, "by": result.by}
        records.append(record | {"each": result.each, "chance": result.chance, "cpu_seconds": seconds})
        print(f"{name}: {result.top1:.3f} by {result.by}", flush=True)
        yield list(records)
