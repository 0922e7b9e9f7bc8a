"""How a training script ends."""

import os
import subprocess
import sys

import pytest
from torch import distributed

from hipmr_hf.errors import InputValueError
from hipmr_hf.training.script import run_script


def test_a_script_that_ends_well_lets_go_of_the_other_processes():
    def main() -> None:
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        distributed.barrier()

    run_script(main)
    assert not distributed.is_initialized()


def test_what_the_user_can_mend_is_one_line_and_exit_code_2(capsys):
    def main() -> None:
        raise InputValueError("epochs: got 0,\nexpected at least 1; give more.")

    with pytest.raises(SystemExit) as ended:
        run_script(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(": error: epochs: got 0, expected at least 1; give more.\n")


def test_one_of_several_processes_ends_though_a_thread_of_it_does_not():
    """As a thread of Gloo that waits for the interpreter: everything is said, and the process never ends."""
    script = """
import atexit, threading
from hipmr_hf.training.script import run_script

def main():
    threading.Thread(target=threading.Event().wait).start()
    atexit.register(print, "and what was registered is done")
    print("trained", end=", ")

run_script(main)
"""
    environment = {**os.environ, "WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "trained, and what was registered is done\n"), done.stderr
