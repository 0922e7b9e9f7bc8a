import dataclasses
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value

from hipmr_hf import RandomShuffling, SecretKey
from hipmr_hf.dataset.job import EncryptionJob, Told, forget
from hipmr_hf.dataset.join import join_rows
from hipmr_hf.dataset.parts import Part
from hipmr_hf.dataset.pieces import count_parts, encrypt_part
from hipmr_hf.dataset.row_order import deal_rows, join_dealt
from hipmr_hf.dataset.rows import RowEncryptionError
from hipmr_hf.dataset.source import open_source
from hipmr_hf.dataset.sources.listing import SourceOptions
from hipmr_hf.leaks.parquet import holds_key

ROWS = 100
FEATURES = Features({"image": Image(), "label": Value("int64")})


@pytest.fixture(autouse=True)
def a_process_of_its_own():
    forget()


@pytest.fixture
def told(tmp_path) -> Told:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16, 3), dtype=np.uint8)
    plain = Dataset.from_dict({"image": list(pixels), "label": list(range(ROWS))}, features=FEATURES)
    plain.to_parquet(tmp_path / "plain.parquet", batch_size=30)
    return job_for(tmp_path, tmp_path / "plain.parquet")


def job_for(folder, source, **options) -> Told:
    key = SecretKey.generate()
    key.save(folder / "a.key")
    (folder / "work").mkdir()
    return Told(
        EncryptionJob(RandomShuffling(image_size=16, patch_size=8), **options),
        (str(source),),
        SourceOptions(),
        open_source([str(source)]).identity,
        str(folder / "work"),
        key_file=str(folder / "a.key"),
        key_id=key.key_id,
    )


def encrypted(told, tmp_path) -> list[str]:
    for number in range(count_parts(told, ("train", 0))):
        encrypt_part(told, Part("train", 0, number))
    return [
        str(path.relative_to(tmp_path / "work"))
        for path in sorted((tmp_path / "work/pieces/train").glob("*.parquet"))
    ]


def test_a_part_that_is_done_stays_as_it_is(told, tmp_path):
    notes = encrypt_part(told, Part("train", 0, 1))
    (piece,) = (tmp_path / "work" / "pieces" / "train").iterdir()
    before = piece.read_bytes()
    assert encrypt_part(told, Part("train", 0, 1)) == notes
    assert notes == {"rows": 30, "written": 30, "skipped": [], "dropped": 0}
    assert piece.read_bytes() == before


def test_pieces_are_stored_as_they_are(told, tmp_path):
    piece = tmp_path / "work" / encrypted(told, tmp_path)[0]
    columns = [pq.read_metadata(piece).row_group(0).column(i) for i in range(3)]
    assert {column.compression for column in columns} == {"UNCOMPRESSED"}
    assert not any(column.has_dictionary_page for column in columns)


def test_work_that_fails_leaves_nothing(told, tmp_path):
    (tmp_path / "bad").mkdir()
    images = [{"bytes": b"\x89PNG\r\n\x1a\n", "path": None}]
    rows = Dataset.from_dict({"image": images, "label": [0]}, features=FEATURES)
    rows.to_parquet(tmp_path / "bad" / "bad.parquet")
    bad = job_for(tmp_path / "bad", tmp_path / "bad" / "bad.parquet")
    with pytest.raises(RowEncryptionError, match=r"^row 0 \(counted from 0\) cannot"):
        encrypt_part(bad, Part("train", 0, 0))
    assert [path for path in (tmp_path / "bad" / "work").rglob("*") if path.is_file()] == []


def test_what_machines_are_told_holds_no_key(told, tmp_path):
    key = SecretKey.load(tmp_path / "a.key")
    assert not holds_key(pickle.dumps(told), key) and not holds_key(repr(told).encode(), key)


def test_pieces_join_to_shards_in_order(told, tmp_path):
    pieces = encrypted(told, tmp_path)
    join_rows(told, ([(pieces[0], 10, 30), (pieces[1], 0, 30), (pieces[2], 0, 5)], "train-00000"))
    found = pq.read_table(tmp_path / "work" / "train-00000")
    assert found.column("label").to_pylist() == list(range(10, 65))
    expected = Features({**FEATURES, "nonce": Value("binary")})
    assert Features.from_arrow_schema(found.schema) == expected


def test_rows_are_dealt_to_shards_once_each_and_at_random(told, tmp_path):
    pieces = encrypted(told, tmp_path)
    deal_rows(told, (pieces[:2], 3, "first.arrow"))
    deal_rows(told, (pieces[2:], 3, "second.arrow"))
    for i in range(3):
        join_dealt(told, (["first.arrow", "second.arrow"], i, f"train-{i}"))
    labels = [pq.read_table(tmp_path / "work" / f"train-{i}").column("label").to_pylist() for i in range(3)]
    together = [label for shard in labels for label in shard]
    assert sorted(together) == list(range(ROWS)) and together != list(range(ROWS))
    assert all(shard != sorted(shard) for shard in labels)
    table = pq.read_table(tmp_path / "work" / "train-0")
    assert list(table.schema.metadata) == [b"huggingface"]


def test_a_shard_that_was_dealt_nothing_is_a_file_without_rows(told, tmp_path):
    pieces = encrypted(told, tmp_path)
    deal_rows(told, (pieces[-1:], 200, "dealt.arrow"))
    sizes = []
    for i in range(200):
        join_dealt(told, (["dealt.arrow"], i, f"train-{i}"))
        sizes.append(pq.read_metadata(tmp_path / "work" / f"train-{i}").num_rows)
    assert sum(sizes) == 10 and 0 in sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"work": "/nowhere"}, "output_dir: machine .* does not see"),
        ({"version": "0.0.1"}, r"runs hipmr-hf .* and the driver 0\.0\.1"),
        ({"key_id": "0" * 16}, "key_file: machine .* expected 0000000000000000"),
        ({"source_identity": "other"}, "source: machine .* sees other files"),
    ],
)
def test_a_machine_that_sees_something_else_says_so(told, change, message):
    with pytest.raises(ValueError, match=message):
        encrypt_part(dataclasses.replace(told, **change), Part("train", 0, 0))


def test_a_torn_piece_is_done_again(told, tmp_path):
    notes = encrypt_part(told, Part("train", 0, 1))
    (piece,) = (tmp_path / "work" / "pieces" / "train").iterdir()
    piece.write_bytes(piece.read_bytes()[:100])
    assert encrypt_part(told, Part("train", 0, 1)) == notes
    assert pq.read_table(piece).column("label").to_pylist() == list(range(30, 60))
