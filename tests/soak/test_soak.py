"""A small soak of `hipmr encrypt`, and that its checks see what they look for."""

import random

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipmr_hf.images.reading import read_image
from hipmr_hf.images.writing import encode_image
from soak import checks, pictures, runs, soak

ROWS = range(400, 800)


@pytest.mark.slow
@pytest.mark.parametrize("make", [soak.soak_parquet, soak.soak_folder])
def test_kills_and_ruined_files_lose_double_and_leak_nothing(make, monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "SAMPLE_SECONDS", 0.01)
    run = make(tmp_path / "soak", ROWS, 2, random.Random(0), (1, 2))
    run.run_until_done()
    told = soak.summary(run)
    assert told["problems"] == []
    assert sum(told["kills"].values()) >= 2
    assert told["encrypted"] == told["rows"] - told["ruined"] and told["ruined"] > 10


def test_ruined_files_are_all_refused():
    images, encryption = pictures, soak.ENCRYPTION
    for ruin in images._RUINS:
        for number in range(16):
            file = ruin(number)
            with pytest.raises((ValueError, TypeError)):
                encryption.prepare(read_image(file))


def test_good_files_are_all_read():
    for number in range(48):
        pixels = soak.ENCRYPTION.prepare(read_image(pictures.picture(number)))
        assert pixels.shape == (64, 64, 3)


def write_rows(folder, rows: dict[int, np.ndarray], more: tuple = ()) -> None:
    folder.mkdir()
    files = [{"bytes": encode_image(pixels), "path": None} for pixels in rows.values()]
    table = pa.table({"image": files, "label": list(rows)})
    pq.write_table(pa.concat_tables([table, *(table.slice(i, 1) for i in more)]), folder / "rows.parquet")


def test_the_check_of_rows_sees_what_is_wrong(tmp_path):
    images, encryption = pictures, soak.ENCRYPTION
    good = [number for number in range(40) if not images.is_ruined(number)]
    plain = {number: encryption.prepare(read_image(images.picture(number))) for number in good}
    rows = {number: encryption(pixels) for number, pixels in plain.items()}
    write_rows(tmp_path / "right", rows)
    found = checks.check_rows(tmp_path / "right", range(40), encryption)
    assert found == checks.RowCheck(rows=len(good))

    rows |= {good[0]: plain[good[0]], good[1]: rows[good[2]], 1000: rows[good[3]]}
    del rows[good[4]]
    write_rows(tmp_path / "wrong", rows, more=(5,))
    found = checks.check_rows(tmp_path / "wrong", range(40), encryption)
    assert found.plain == [good[0]] and found.foreign == [good[1], 1000]
    assert found.unwanted == [1000] and found.lost == [good[4]] and len(found.doubled) == 1


def test_the_search_finds_plain_files_names_and_pixels(tmp_path):
    images, find_plain = pictures, checks.find_plain
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "source.png").write_bytes(images.picture(0))
    (tmp_path / "fine.bin").write_bytes(bytes(1000))
    assert find_plain(tmp_path, apart_from={tmp_path / "plain"}, seen={}) == []
    (tmp_path / "copy.bin").write_bytes(bytes(2**24 - 5) + images.picture(0))
    (tmp_path / f"{images.MARKER.decode()}-1.txt").touch()
    (tmp_path / "raw.npy").write_bytes(read_image(images.picture(1 * 8)).tobytes())
    found = find_plain(tmp_path, apart_from={tmp_path / "plain"}, seen={})
    assert sorted(line.split(" holds ")[1] for line in found) == [
        "a plain file or name",
        "a plain file or name",
        "plain pixels",
    ]


def test_pictures_of_the_soak_are_recognisable_but_not_when_encrypted():
    images, encryption = pictures, soak.ENCRYPTION
    pixels = read_image(images.picture(8))
    row = images.ROW[:, :40].tobytes()
    assert row in pixels.tobytes() and row not in encryption(pixels).tobytes()
    assert PIL.Image.fromarray(pixels).size == (64, 64)
