"""Every picture that the installed packages carry goes through the front door: it comes out, or is named.

That a cluster gives the same rows and the same account stands in `test_ray_engine.py`.
"""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from every_picture import gather_pictures

from hipmr_hf import RandomShuffling
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.run import encrypt_source
from hipmr_hf.dataset.sources.account import account_path
from hipmr_hf.dataset.sources.kinds import suffix_of
from hipmr_hf.dataset.sources.listing import SourceOptions

pytestmark = pytest.mark.slow
JOB = EncryptionJob(RandomShuffling(image_size=32, patch_size=8), on_error="skip")
AS_ONE = SourceOptions(splits="none", labels="none")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return gather_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def encrypted(tree, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("encrypted") / "out"
    return encrypt_source(JOB, [str(tree)], output, options=AS_ONE, num_proc=2)


def test_there_is_enough_to_try(tree):
    suffixes = Counter(suffix_of(path.name) for path in tree.rglob("*") if path.is_file())
    assert sum(suffixes.values()) >= 200 and len(suffixes) >= 12, suffixes


def test_the_account_adds_up(tree, encrypted):
    account = json.loads(account_path(encrypted).read_text())
    files = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    rows = pq.read_table(encrypted / "data").num_rows
    skipped = [name for names in account["skipped"].values() for name in names]
    counts = {reason: len(names) for reason, names in account["skipped"].items()}
    print(f"{len(files)} found, {rows} written, skipped: {json.dumps(counts, indent=1)}")
    assert account["found"] == len(files) and account["written"] == {"train": rows}
    assert rows + len(skipped) == len(files) and len(set(skipped)) == len(skipped)
    assert set(skipped) <= set(files) and rows > 150
    assert {"hidden", "no picture"} <= account["skipped"].keys() and "torn.png" in skipped


def test_nobody_else_can_read_the_names(encrypted):
    assert account_path(encrypted).stat().st_mode & 0o077 == 0
    assert not [path for path in encrypted.rglob("*") if "account" in path.name]
