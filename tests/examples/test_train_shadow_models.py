"""Shadow models from the command of the script's header, one step each."""

import subprocess
import sys

from example_helpers import EXAMPLES, TINY_MODEL
from transformers import AutoModelForImageClassification

from hipmr_hf.attacks.shadow_rows import deal_rows, save_rows, shadow_folders

SCRIPT = EXAMPLES / "train_shadow_models.py"


def test_a_stopped_run_goes_on_and_each_row_is_in_half_of_the_trainings(folders, tmp_path):
    (tmp_path / "shadow_0").mkdir()
    save_rows(tmp_path / "shadow_0", ["of the run that was stopped"])
    command = [sys.executable, str(SCRIPT), "--dataset_name", str(folders["rs"]), "--num_shadows", "2"]
    recipe = ["--", "--do_train", "--max_steps", "1", "--use_cpu", "--report_to", "none", *TINY_MODEL]
    recipe += ["--save_strategy", "no", "--disable_tqdm", "true", "--per_device_train_batch_size", "4"]
    command += ["--output_dir", str(tmp_path), *recipe]
    done = subprocess.run(command, capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = shadow_folders(tmp_path)
    assert [folder.name for folder in found] == ["shadow_0", "shadow_1"]
    stopped, trained = found.values()
    assert (
        stopped == {"of", "the", "run", "that", "was", "stopped"}
        and len(trained) == deal_rows(94, 2)[1].sum()
    )
    assert AutoModelForImageClassification.from_pretrained(tmp_path / "shadow_1").config.num_labels == 10
    assert not list(tmp_path.glob(".rows_*"))
