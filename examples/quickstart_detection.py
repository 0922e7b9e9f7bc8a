"""Detection on two cores: compose scenes, mix them up, train PEYOLOS, reload it, draw boxes.

    python examples/quickstart_detection.py --output_dir outputs/quickstart_detection

It took 3 minutes on two cores of an AMD EPYC, and 9 where others used them too. It plays every role, one
after the other: the owner composes scenes of scikit-learn's handwritten digits and mixes them up; the builder
trains PEYOLOS on the mixed-up ones alone, with `run_object_detection.py`; a client encrypts one more scene
and asks the model; and the owner draws detections on plain scenes. Digits are found without being told apart,
which would take far longer than minutes.
"""

import argparse
import importlib.util
import json
import shutil
from pathlib import Path

from datasets import DatasetDict
from transformers import pipeline
from transformers.utils import logging

from hipmr_hf import Encryption, MixingUp, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.follow import follow

EXAMPLES = Path(__file__).resolve().parent
MIXING = MixingUp(patch_size=8)
CARD = "peyolos-digit-scenes-mi"
SCENES = {"size": (64, 96), "max_digits": 3, "digit_sizes": (28, 48), "one_class": True}


# The owner's side: the only one that has plain scenes


def make_data(folder: Path, num_train: int, num_test: int) -> None:
    scenes = DatasetDict(
        train=digit_scenes(num_train, seed=0, **SCENES),
        test=digit_scenes(num_test, seed=1, split="test", **SCENES),
    )
    for split, rows in scenes.items():
        rows.to_parquet(folder / "plain" / "data" / f"{split}-00000-of-00001.parquet")
    save_encrypted_dataset(encrypt_dataset(scenes, MIXING), MIXING, folder / "mixed")


def draw(folder: Path, checkpoint: Path) -> Path:
    """Run the owner's example, which draws on plain scenes what the model finds in mixed-up ones."""
    spec = importlib.util.spec_from_file_location(
        "draw_detections", EXAMPLES / "owner" / "draw_detections.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    where = ["--dataset_name", str(folder / "plain"), "--checkpoint", str(checkpoint)]
    return example.main([*where, "--output", str(folder / "detections.png")])


# The builder's side: mixed-up scenes alone


def train(folder: Path, epochs: float) -> Path:
    """Run the training script as a user would, in a process of its own."""
    output_dir, log = folder / "peyolos", folder / "peyolos.log"
    command = [str(EXAMPLES / "run_object_detection.py"), "--dataset_name", str(folder / "mixed")]
    command += ["--output_dir", str(output_dir), "--do_train", "--do_eval", "--num_train_epochs", str(epochs)]
    command += ["--hidden_size", "96", "--num_hidden_layers", "4", "--num_attention_heads", "3"]
    command += ["--num_detection_tokens", "12", "--per_device_train_batch_size", "16"]
    command += ["--per_device_eval_batch_size", "32", "--learning_rate", "1e-3", "--weight_decay", "1e-4"]
    # In this time the paper's loss alone hardly finds a digit, so places come first.
    command += ["--place_supervision", "0.45", "--max_grad_norm", "1", "--lr_scheduler_type", "cosine"]
    # everything is new here, so everything learns at one rate; mirrored digits are none
    command += ["--new_parameters_factor", "1", "--warmup_steps", "50", "--flip", "0", "--crop", "0"]
    command += ["--logging_strategy", "epoch", "--save_strategy", "no", "--use_cpu"]
    command += ["--bf16", "--attn_implementation", "eager"]  # the fastest on a CPU at this size
    command += ["--hub_model_id", CARD]
    print(f"training PEYOLOS for {epochs:g} epochs; its log is {log}", flush=True)
    follow(command, log, epochs=epochs, metrics={"loss": "loss"}, home=folder / "cache")
    return output_dir


def write_card(checkpoint: Path, scores: dict, num_test: int, cards_dir: Path | None) -> None:
    """Tell on the model's card how to repeat it, and keep a copy where asked."""
    facts = ModelFacts(
        CARD,
        Encryption.from_pretrained(checkpoint),
        task="object-detection",
        metrics={name: value for name, value in scores.items() if value >= 0},  # -1: no such object
        evaluated_on=f"{num_test:,} scenes of digits that it has not seen; sizes of objects are those in the "
        "plain image",
        training_command="python examples/quickstart_detection.py",
        num_parameters=scores["num_parameters"],
        license="apache-2.0",
    )
    card = save_card(model_card(facts), checkpoint)
    if cards_dir is not None:
        shutil.copy(card, cards_dir / f"{CARD}.md")
        (cards_dir / f"{CARD}.json").write_text(json.dumps({"peyolos": scores}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/quickstart_detection"))
    parser.add_argument("--num_train", type=int, default=4000)
    parser.add_argument("--num_test", type=int, default=200)
    parser.add_argument("--epochs", type=float, default=12)
    parser.add_argument("--model_cards_dir", type=Path, help="also put the model card and its figures here")
    args = parser.parse_args()

    if not (args.output_dir / "mixed").exists():
        print("3 minutes on two idle cores, 9 where others use them too", flush=True)
        print(f"composing {args.num_train} + {args.num_test} scenes and mixing them up", flush=True)
        make_data(args.output_dir, args.num_train, args.num_test)
    checkpoint = train(args.output_dir, args.epochs)
    scores = json.loads((checkpoint / "all_results.json").read_text())
    write_card(checkpoint, scores, args.num_test, args.model_cards_dir)
    print(f"average precision on {scores['eval_images']} scenes of digits that it has not seen:")
    print(f"    AP {scores['eval_map']:.3f}   AP50 {scores['eval_map_50']:.3f}   (1 is perfect)")

    # The client's side: read the settings beside the checkpoint, encrypt locally, ask the model.
    encryption = Encryption.from_pretrained(checkpoint)
    scenes = digit_scenes(8, seed=7, split="test", **SCENES)
    scene = max(scenes, key=lambda row: len(row["objects"]["category"]))
    logging.set_verbosity(logging.CRITICAL)  # or the pipeline lists all models of transformers
    detector = pipeline("object-detection", model=str(checkpoint), device="cpu", trust_remote_code=False)
    found = detector(encryption(scene["image"]), threshold=0.5)
    print(f"one more scene holds {len(scene['objects']['category'])} digits; detected {len(found)}")
    picture = draw(args.output_dir, checkpoint)
    print(f"\nencrypted dataset   {args.output_dir / 'mixed'}\ncheckpoint          {checkpoint}")
    print(f"picture with boxes  {picture}   (above: what the model sees; plain, so the owner's)")


if __name__ == "__main__":
    main()
