import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_helpers import run

from hipmr_hf.commands import COMMANDS
from hipmr_hf.errors import InputValueError


def test_help_is_quick_and_imports_nothing_heavy():
    start = time.process_time()
    code = (
        "import sys, time\nfrom hipmr_hf.cli import main\n"
        "assert main(['encrypt', '--help']) == 0\n"
        "heavy = {'numpy', 'torch', 'datasets', 'pyarrow', 'transformers', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert time.process_time() < 1\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--strategy {rs,mi}" in result.stdout and time.process_time() - start < 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["encrypt"], ["keygen"]])
def test_arguments_that_argparse_refuses_are_bad_input(arguments, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("hipmr ") or error.startswith("hipmr: ")
    assert error.count("\n") == 1 and "--help)" in error


def test_the_command_alone_prints_its_help(capsys):
    assert run() == 0
    captured = capsys.readouterr()
    assert captured.err == "" and all(f"\n    {name} " in captured.out for name in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--image_size", "unrecognized argument --image_size, did you mean --image-size?"),
        ("--image_size=32", "unrecognized argument --image_size, did you mean --image-size?"),
        ("--patchsize", "unrecognized argument --patchsize, did you mean --patch-size?"),
        ("--zzz", "unrecognized argument --zzz (see hipmr encrypt --help)"),
    ],
)
def test_a_flag_that_is_nearly_right_is_told(typed, told, tmp_path, capsys):
    assert run("encrypt", "plain", "--output-dir", tmp_path / "out", typed) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_shows_an_example_and_where_to_read_on(name, capsys):
    assert run(name, "--help") == 0
    shown = capsys.readouterr().out
    assert f"\n  hipmr {name}" in shown and ".md" in shown.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_repositories_are_called_as_the_hub_calls_them(name, capsys):
    run(name, "--help")
    assert not re.search(r"\bREPO\b", capsys.readouterr().out)


# What goes wrong


def refused(options):
    raise InputValueError("here: got\n  nothing.")


def without_a_file(options):
    Path("no/such/file").read_bytes()


def our_mistake(options):
    raise ValueError("of somebody's library")


def odd_system(options):
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (refused, "hipmr: error: here: got nothing.\n"),
        (without_a_file, "hipmr: error: [Errno 2] No such file or directory: 'no/such/file'\n"),
    ],
)
def test_what_the_user_can_mend_is_one_line(fail, told, monkeypatch, capsys):
    monkeypatch.setattr("hipmr_hf.commands.env.run", fail)
    assert run("env") == 2
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("fail", [our_mistake, odd_system])
def test_a_mistake_of_ours_keeps_its_traceback_and_asks_for_a_report(fail, monkeypatch, capsys):
    monkeypatch.setattr("hipmr_hf.commands.env.run", fail)
    assert run("env") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and any(fail.__name__ in line for line in lines)
    assert "report it" in lines[-1] and "`hipmr env`" in lines[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_program_lets_it_clean_up(number, monkeypatch, capsys):
    cleaned = []

    def work(options):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleaned.append(True)

    monkeypatch.setattr("hipmr_hf.commands.env.run", work)
    assert run("env") == 128 + number and cleaned
    assert capsys.readouterr().err == f"hipmr: ended by {number.name}\n"
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_mistake_of_ours(unbuffered):
    code = "import sys; from hipmr_hf.cli import main; sys.exit(main(['env']))"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], text=True, env=environment, **pipes)
    process.stdout.close()  # as `head` does
    assert process.stderr.read() == "" and process.wait(timeout=60) == 141


def test_a_broken_pipe_of_another_kind_is_a_mistake_of_ours(monkeypatch, capsys):
    def fail(options):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("hipmr_hf.commands.env.run", fail)
    assert run("env") == 1 and "report it" in capsys.readouterr().err


def test_a_worker_ends_at_once_by_the_signal(monkeypatch):
    def work(options):
        child = os.fork()
        if child == 0:
            try:
                time.sleep(10)
            finally:
                os._exit(0)
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    monkeypatch.setattr("hipmr_hf.commands.env.run", work)
    assert run("env") == -signal.SIGTERM


# Imports


def test_the_owners_side_never_imports_torch(images, tmp_path):
    code = (
        "import sys\nfrom hipmr_hf.cli import main\n"
        "main(['keygen', 'a.key'])\n"
        "options = ['--image-size', '32', '--patch-size', '8', '--key-file', 'a.key']\n"
        "assert main(['encrypt', 'plain', '--output-dir', 'out', *options]) == 0\n"
        "assert main(['leaks', 'out']) == 0\n"
        "assert main(['decrypt', 'out', '--output-dir', 'back', '--key-file', 'a.key']) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
