"""Shadow models from the command of the script's header, two steps each."""

import subprocess
import sys

from example_helpers import EXAMPLES, TINY_MODEL
from transformers import AutoModelForImageClassification

from hipmr_hf.attacks.shadow_rows import shadow_folders

SCRIPT = EXAMPLES / "train_shadow_models.py"


def test_each_row_is_in_half_of_the_trainings_and_a_stopped_run_goes_on(folders, tmp_path):
    command = [
        sys.executable,
        str(SCRIPT),
        "--dataset_name",
        str(folders["rs"]),
        "--output_dir",
        str(tmp_path),
    ]
    recipe = ["--", "--do_train", "--max_steps", "1", "--use_cpu", "--report_to", "none", *TINY_MODEL]
    recipe += ["--save_strategy", "no", "--disable_tqdm", "true", "--per_device_train_batch_size", "4"]
    done = subprocess.run(
        [*command, "--num_shadows", "2", *recipe], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = shadow_folders(tmp_path)
    assert [folder.name for folder in found] == ["shadow_0", "shadow_1"]
    first, second = found.values()
    assert len(first | second) == 94 and not first & second and len(first) == 47
    assert AutoModelForImageClassification.from_pretrained(tmp_path / "shadow_1").config.num_labels == 10
    assert not list(tmp_path.glob(".rows_*"))
    (tmp_path / "shadow_1" / "trained_on.txt").unlink()
    again = subprocess.run(
        [*command, "--num_shadows", "2", "--", "--no_such_argument"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (
        again.returncode == 2 and "shadow model 1: run_image_classification.py ended with 2" in again.stderr
    )
