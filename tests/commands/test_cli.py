import os
import subprocess
import sys
import time

import pytest
from command_helpers import run


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


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["encrypt"], ["keygen"]])
def test_arguments_that_argparse_refuses_are_bad_input(arguments, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("hipmr ") or error.startswith("hipmr: ")
    assert error.count("\n") == 1 and "--help)" in error


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(options):
        raise ZeroDivisionError

    monkeypatch.setattr("hipmr_hf.commands.env.run", fail)
    with pytest.raises(ZeroDivisionError):
        run("env")


def test_the_owners_side_never_imports_torch(images, tmp_path):
    code = (
        "import sys\nfrom hipmr_hf.cli import main\n"
        "main(['keygen', 'a.key'])\n"
        "options = ['--image-size', '32', '--patch-size', '8', '--key-file', 'a.key']\n"
        "assert main(['encrypt', 'plain', '--output-dir', 'out', *options]) == 0\n"
        "assert main(['audit', '--leaks', 'out']) == 0\n"
        "assert main(['decrypt', 'out', '--output-dir', 'back', '--key-file', 'a.key']) == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
