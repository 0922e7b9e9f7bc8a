"""Real DP-SGD on encrypted digits, through the script, with the accountant's epsilon on the card."""

import pytest
from datasets import DatasetDict, List, Value, concatenate_datasets, load_dataset
from example_helpers import SHUFFLING, TINY_MODEL, digits, results
from huggingface_hub import ModelCard
from opacus.accountants import PRVAccountant, RDPAccountant
from transformers import AutoImageProcessor, AutoModelForImageClassification, HfArgumentParser

from hipmr_hf import Encryption, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.errors import InputValueError

SCRIPT = "run_image_classification_dp.py"
RDP = ["--accountant", "rdp"]
SMALL = ["--expected_batch_size", "16", "--per_device_train_batch_size", "12", *TINY_MODEL]


def run(example, folder, output, *arguments):
    module = example(SCRIPT)
    options = ["--dataset_name", str(folder), "--output_dir", str(output), *SMALL, *map(str, arguments)]
    return module.main(HfArgumentParser(module.Arguments).parse_args_into_dataclasses(options)[0])


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Digits of which every picture was encrypted twice, in another order each time."""
    plain = digits()
    named = DatasetDict(
        {split: rows.add_column("picture", range(len(rows))) for split, rows in plain.items()}
    )
    named["train"] = concatenate_datasets([named["train"], named["train"]])
    folder = tmp_path_factory.mktemp("twice") / "rs"
    encrypted = encrypt_dataset(named, SHUFFLING, keep_columns=["label", "picture"])
    save_encrypted_dataset(encrypted, SHUFFLING, folder)
    return folder


def test_the_card_tells_what_the_accountant_gives(example, folders, tmp_path):
    run(example, folders["rs"], tmp_path, "--max_train_steps", 3)

    told, card = results(tmp_path), ModelCard.load(tmp_path / "README.md")
    accountant = PRVAccountant()
    for _ in range(3):
        accountant.step(noise_multiplier=told["noise_multiplier"], sample_rate=0.25)
    epsilon = accountant.get_epsilon(0.1 / 64)
    assert told["epsilon"] == pytest.approx(epsilon) and 7.9 < epsilon <= 8.0
    assert card.data.differential_privacy == {"epsilon": told["epsilon"], "delta": told["delta"]}
    assert f"| epsilon | {epsilon:.4g} |" in card.text and "| sampling rate | 0.25 (Poisson" in card.text
    assert f"| noise multiplier | {told['noise_multiplier']:.4g} |" in card.text
    assert "| clipping norm | 1 |" in card.text and "The guarantee is for each row" in card.text
    assert Encryption.from_pretrained(tmp_path) == SHUFFLING
    assert AutoModelForImageClassification.from_pretrained(tmp_path).config.model_type == "pevit"
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == 8


def test_pictures_count_where_each_stands_in_two_rows(example, twice, tmp_path):
    rows = load_dataset("parquet", data_files=str(twice / "data" / "train-*"), split="train")
    assert rows[0]["picture"] == rows[64]["picture"] and rows[0]["image"] != rows[64]["image"]
    run(example, twice, tmp_path / "pictures", "--picture_column", "picture", "--max_train_steps", 2, *RDP)
    run(example, twice, tmp_path / "rows", "--max_train_steps", 2, *RDP)

    told, rows = results(tmp_path / "pictures"), results(tmp_path / "rows")
    assert (told["records"], told["rows"], rows["records"]) == (64, 128, 128)
    assert told["sampling_rate"] == 2 * rows["sampling_rate"] and told["delta"] == 2 * rows["delta"]
    card = (tmp_path / "pictures" / "README.md").read_text()
    assert "for each **picture**" in card and "64, in 128 rows" in card and "for each row" not in card


def test_a_killed_run_goes_on_and_pays_for_all_of_its_steps(example, folders, tmp_path, monkeypatch):
    steps = ["--num_train_epochs", 2, "--checkpoint_every_epoch", "--accountant", "rdp"]
    module = example(SCRIPT)
    original = module.PrivateTraining.steps

    def killed_in_the_second_epoch(self, *arguments, **options):
        if len(self.engine.accountant):
            raise KeyboardInterrupt
        yield from original(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module.PrivateTraining, "steps", killed_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            run(example, folders["rs"], tmp_path, *steps)
    assert (tmp_path / "private_checkpoint.pt").exists()
    with pytest.raises(InputValueError, match="--resume, or name another folder"):
        run(example, folders["rs"], tmp_path, *steps)
    with pytest.raises(InputValueError, match="another budget"):
        run(example, folders["rs"], tmp_path, *steps, "--resume", "--target_epsilon", 2)
    metrics = run(example, folders["rs"], tmp_path, *steps, "--resume")

    accountant, told = RDPAccountant(), results(tmp_path)
    for _ in range(8):
        accountant.step(noise_multiplier=told["noise_multiplier"], sample_rate=0.25)
    assert metrics["epsilon"] == pytest.approx(accountant.get_epsilon(told["delta"]))
    assert metrics["steps"] == 8 and not (tmp_path / "private_checkpoint.pt").exists()


@pytest.mark.parametrize(("column", "metric"), [("several", "f1_micro"), ("number", "mae")])
def test_lists_of_classes_and_numbers_are_learned_too(example, tmp_path, column, metric):
    plain = digits()
    for split, rows in plain.items():
        told = {"several": [[label] * (label > 2) for label in rows["label"]]}
        told["number"] = [10.0 * label for label in rows["label"]]
        kinds = {"several": List(rows.features["label"]), "number": Value("float32")}
        for name, values in told.items():
            rows = rows.add_column(name, values, feature=kinds[name])
        plain[split] = rows
    save_encrypted_dataset(
        encrypt_dataset(plain, SHUFFLING, keep_columns=[column]), SHUFFLING, tmp_path / "rs"
    )
    options = ["--label_column", column, "--max_train_steps", 2, *RDP]
    if column == "number":
        with pytest.raises(InputValueError, match="--number_range: it is missing"):
            run(example, tmp_path / "rs", tmp_path / "out", *options)
        options += ["--number_range", 0, 100]
    metrics = run(example, tmp_path / "rs", tmp_path / "out", *options)
    assert metric in metrics and 0 < metrics["epsilon"] <= 8
    config = AutoModelForImageClassification.from_pretrained(tmp_path / "out").config
    if column == "number":
        assert config.regression_mean == [50.0] and config.id2label == {0: "number"}
    else:
        assert config.problem_type == "multi_label_classification" and config.num_labels == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mixup_alpha", "0.8"], "mixup blends two records"),
        (["--teacher_logits_column", "teacher_logits"], "no epsilon covers that"),
        (["--picture_column", "picture"], "there is no column 'picture'; the columns are"),
        (["--target_delta", "0.5"], "delta: got 0.5, expected less than one in 64 records"),
        (["--target_epsilon", "0"], "epsilon: got 0.0"),
    ],
)
def test_what_voids_the_guarantee_is_refused(example, folders, tmp_path, arguments, message):
    with pytest.raises(InputValueError, match=message):
        run(example, folders["rs"], tmp_path, *arguments)


def test_more_processes_are_refused(example, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(example(SCRIPT).Accelerator, "num_processes", 2)
    with pytest.raises(InputValueError, match=r"num_processes: got 2, .* --num_processes 1\."):
        run(example, folders["rs"], tmp_path)


def test_two_launched_processes_end_with_the_remedy_and_leave_nothing(launch, folders, tmp_path):
    options = ["--dataset_name", folders["rs"], "--output_dir", tmp_path / "out", *SMALL]
    done = launch(SCRIPT, *options, num_processes=2, check=False)
    said = [line for line in done.stderr.splitlines() if "launch it with --num_processes 1." in line]
    assert done.returncode != 0 and len(said) in (1, 2), done.stderr[-3000:]
    assert all(line.startswith(f"{SCRIPT}: error: num_processes: got 2, but this") for line in said)
    assert not (tmp_path / "out").exists()
