"""Shadow models from the command of the script's header, one step each."""

from example_helpers import TINY_MODEL
from transformers import AutoModelForImageClassification

from hipmr_hf.attacks.shadow_rows import deal_rows, save_rows, shadow_folders


def test_a_stopped_run_goes_on_and_each_row_is_in_half_of_the_trainings(example, folders, tmp_path):
    (tmp_path / "shadow_0").mkdir()
    save_rows(tmp_path / "shadow_0", ["of the run that was stopped"])
    script = example("train_shadow_models.py")
    command = ["--dataset_name", str(folders["rs"]), "--num_shadows", "2", "--output_dir", str(tmp_path)]
    recipe = ["--", "--do_train", "--max_steps", "1", "--use_cpu", "--report_to", "none", *TINY_MODEL]
    recipe += ["--save_strategy", "no", "--disable_tqdm", "true", "--per_device_train_batch_size", "4"]
    script.main(*script.read_command([*command, *recipe]))
    found = shadow_folders(tmp_path)
    assert [folder.name for folder in found] == ["shadow_0", "shadow_1"]
    stopped, trained = found.values()
    assert (
        stopped == {"of", "the", "run", "that", "was", "stopped"}
        and len(trained) == deal_rows(94, 2)[1].sum()
    )
    assert AutoModelForImageClassification.from_pretrained(tmp_path / "shadow_1").config.num_labels == 10
    assert not list(tmp_path.glob(".rows_*"))
