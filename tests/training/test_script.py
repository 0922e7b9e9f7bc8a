"""How a training script ends."""

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
