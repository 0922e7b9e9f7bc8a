"""Run code in a process of its own that has transformers but cannot import this package."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

BLOCK = """
import importlib.abc, os, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hipmr_hf":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
try:
    import hipmr_hf
except ModuleNotFoundError:
    pass
else:
    sys.exit("the package is not blocked")
"""
"""What such a process begins with."""


def run_without_the_package(code: str, home: Path, *arguments: object) -> str:
    """Return what the code printed.

    Args:
        code: of the process; `sys.argv[1:]` are the arguments.
        home: folder that transformers may write to.
        arguments: handed over as text.
    """
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BLOCK + textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout
