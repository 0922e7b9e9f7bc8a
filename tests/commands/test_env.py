from pathlib import Path

import datasets
from command_helpers import run


def test_env_prints_versions_and_no_path(capsys):
    assert run("env") == 0
    printed = capsys.readouterr().out
    assert f"datasets: {datasets.__version__}" in printed and str(Path.home()) not in printed
