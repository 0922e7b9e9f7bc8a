"""A user without the measurement data reads in one line that tests were skipped, and that this is fine."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = """
import measurement_data, pytest

@measurement_data.needed
def test_marked(): ...

@pytest.mark.parametrize("name", "ab")
def test_by_fixture(shared, name): ...

@pytest.mark.skip(reason="of something else")
def test_other(): ...

def test_photo(photo):
    assert photo.shape == (427, 640, 3)
"""


def test_skips_for_want_of_data_collapse_into_one_line(tmp_path):
    place = tmp_path / "checkout" / "tests"
    place.mkdir(parents=True)
    for name in ("conftest.py", "measurement_data.py"):
        shutil.copy(HERE / name, place)
    (place / "test_some.py").write_text(TESTS)

    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "test_some.py"]
    told = subprocess.run(command, cwd=place, capture_output=True, text=True).stdout.splitlines()

    assert told[-1].startswith("1 passed, 4 skipped")
    assert told[-2].startswith("3 tests were skipped because the measurement data is not here. That is fine")
    assert [line for line in told if line.startswith("SKIPPED")] == [
        "SKIPPED [1] test_some.py:10: of something else"
    ]
