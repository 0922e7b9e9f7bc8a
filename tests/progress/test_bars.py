import io

import pytest

from hipmr_hf.progress import bars
from hipmr_hf.progress.bars import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log(monkeypatch, capsys):
    """A standard error that is a file, and lines at every step; returns what reads it."""
    monkeypatch.setattr(bars, "LOG_SECONDS", 0)
    return lambda: capsys.readouterr().err


def work(bar, steps: int) -> None:
    with bar:
        for _ in range(steps):
            bar.update(16)


def test_a_log_gets_lines_with_done_total_rate_and_what_remains(log):
    work(progress_bar(what="Encrypting", unit="rows", total=64, done=16), 3)
    text = log()
    lines = text.split("\n")
    assert lines.pop() == "" and "\r" not in text
    assert lines[0].startswith("Encrypting: 16/64 rows") and lines[-1].startswith("Encrypting: 64/64 rows")
    assert all(line.startswith("Encrypting: ") and line.endswith(" left") for line in lines)
    assert "rows/s" in lines[-1]


def test_a_log_says_what_is_done_where_nobody_knows_the_total(log):
    work(progress_bar(what="Encrypting", unit="rows"), 2)
    last = log().splitlines()[-1]
    assert last.startswith("Encrypting: 32 rows, ") and "?" not in last and "left" not in last


def test_short_work_leaves_a_log_alone(log, monkeypatch):
    monkeypatch.setattr(bars, "LOG_SECONDS", 10)
    work(progress_bar(what="Encrypting", unit="rows", total=64), 4)
    assert log() == ""


def test_lines_come_no_oftener_than_they_should(log, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(bars, "LOG_SECONDS", 10)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    bar = progress_bar(what="Encrypting", unit="rows", total=100)
    bar._time, bar._begun = lambda: now[0], now[0]
    for _ in range(35):  # a row a second
        now[0] += 1
        bar.update(1)
    assert [line.split(" rows")[0] for line in log().splitlines()] == [
        f"Encrypting: {count}/100" for count in (10, 20, 30)
    ]


def test_a_terminal_gets_a_bar_with_the_total(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert list(progress_bar(range(4), what="Joining", unit="files")) == [0, 1, 2, 3]
    assert "\rJoining: 100%" in terminal.getvalue() and "4/4" in terminal.getvalue()


def test_silence_is_silent(log):
    assert list(progress_bar(range(3), what="Joining", unit="files", show=False)) == [0, 1, 2]
    assert log() == ""
