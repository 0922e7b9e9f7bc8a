"""Segmentation on two cores: compose scenes, mix them up, train PEViT beside a plain one, draw segments.

    python examples/quickstart_segmentation.py --output_dir outputs/quickstart_segmentation

It takes minutes. It plays every role, one after the other: the owner composes scenes of scikit-learn's
handwritten digits with their masks and mixes them up; the builder trains PEViT on the mixed-up ones alone,
with `run_semantic_segmentation.py`; the owner trains a plain PEViT at the same budget, to compare with; a
client encrypts one more scene and asks the model; and the owner draws segments on plain scenes. Ink is told
from ground, without telling the digits apart.
"""

import argparse
import importlib.util
import json
from pathlib import Path

from datasets import DatasetDict
from transformers import pipeline
from transformers.utils import logging

from hipmr_hf import Encryption, MixingUp, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.follow import follow

EXAMPLES = Path(__file__).resolve().parent
MIXING = MixingUp(patch_size=8)
SCENES = {
    "size": (48, 48),
    "max_digits": 3,
    "digit_sizes": (20, 36),
    "one_class": True,
    "with_masks": True,
}


def train(script: str, folder: Path, name: str, epochs: float, *data: str) -> dict[str, float]:
    """Run a training script as a user would, in a process of its own, and return what it measured."""
    output_dir, log = folder / name, folder / f"{name}.log"
    command = [str(EXAMPLES / script), *data, "--output_dir", str(output_dir), "--do_train", "--do_eval"]
    command += ["--class_names", "ground", "digit", "--num_train_epochs", str(epochs)]
    command += ["--hidden_size", "96", "--num_hidden_layers", "4", "--num_attention_heads", "3"]
    command += ["--decoder_hidden_size", "16", "--per_device_train_batch_size", "16"]
    command += ["--per_device_eval_batch_size", "50", "--learning_rate", "2e-3", "--weight_decay", "0.05"]
    command += ["--lr_scheduler_type", "cosine", "--warmup_steps", "30", "--max_grad_norm", "1"]
    command += ["--flip", "0", "--logging_strategy", "epoch", "--save_strategy", "no", "--use_cpu"]
    command += ["--bf16", "--attn_implementation", "eager"]  # the fastest on a CPU at this size
    print(f"training {name} for {epochs:g} epochs; its log is {log}", flush=True)
    follow(command, log, epochs=epochs, metrics={"loss": "loss"}, home=folder / "cache")
    return json.loads((output_dir / "all_results.json").read_text())


# The owner's side: the only one that has plain scenes


def make_data(folder: Path, num_train: int, num_test: int) -> None:
    scenes = DatasetDict(
        train=digit_scenes(num_train, seed=0, **SCENES),
        test=digit_scenes(num_test, seed=1, split="test", **SCENES),
    ).select_columns(["image", "mask"])
    for split, rows in scenes.items():
        rows.to_parquet(folder / "plain" / "data" / f"{split}-00000-of-00001.parquet")
    encrypted = encrypt_dataset(scenes, MIXING, keep_columns=(), mask_column="mask")
    save_encrypted_dataset(encrypted, MIXING, folder / "mixed")


def train_plain(folder: Path, epochs: float) -> dict[str, float]:
    data = ["--dataset_name", str(folder / "plain"), "--encrypted_dataset", str(folder / "mixed")]
    return train("owner/train_plain_segmenter.py", folder, "pevit_plain", epochs, *data)


def draw(folder: Path, checkpoint: Path) -> Path:
    """Run the owner's example, which draws on plain scenes what the model finds in mixed-up ones."""
    spec = importlib.util.spec_from_file_location("draw_segments", EXAMPLES / "owner" / "draw_segments.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    where = ["--dataset_name", str(folder / "plain"), "--checkpoint", str(checkpoint)]
    return example.main([*where, "--output", str(folder / "segments.png")])


# The builder's side: mixed-up scenes alone


def train_encrypted(folder: Path, epochs: float) -> dict[str, float]:
    data = ["--dataset_name", str(folder / "mixed")]
    return train("run_semantic_segmentation.py", folder, "pevit_masks", epochs, *data)


# The client's side: encrypt locally, with the settings beside the checkpoint, and ask the model


def ask(checkpoint: Path) -> list[str]:
    """Return what the model finds in one more scene."""
    scenes = digit_scenes(8, seed=7, split="test", **SCENES)
    scene = max(scenes, key=lambda row: len(row["objects"]["category"]))
    logging.set_verbosity(logging.CRITICAL)  # or the pipeline lists all models of transformers
    segment = pipeline("image-segmentation", model=str(checkpoint), device="cpu", trust_remote_code=False)
    return [one["label"] for one in segment(Encryption.from_pretrained(checkpoint)(scene["image"]))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/quickstart_segmentation"))
    parser.add_argument("--num_train", type=int, default=600)
    parser.add_argument("--num_test", type=int, default=100)
    parser.add_argument("--epochs", type=float, default=15)
    args = parser.parse_args()

    if not (args.output_dir / "mixed").exists():
        print(f"composing {args.num_train} + {args.num_test} scenes and mixing them up", flush=True)
        make_data(args.output_dir, args.num_train, args.num_test)
    scores = {"mixed up": train_encrypted(args.output_dir, args.epochs)}
    scores["plain"] = train_plain(args.output_dir, args.epochs)
    print(f"intersection over union on {args.num_test} scenes of digits that it has not seen:")
    for images, found in scores.items():
        mean, ink = found["eval_mean_iou"], found["eval_iou_digit"]
        print(f"    {images:9} mean {mean:.3f}   ink {ink:.3f}   (1 is perfect)")

    checkpoint = args.output_dir / "pevit_masks"
    print(f"in one more scene it finds {', '.join(ask(checkpoint))}")
    picture = draw(args.output_dir, checkpoint)
    print(f"\nencrypted dataset      {args.output_dir / 'mixed'}\ncheckpoint             {checkpoint}")
    print(f"picture with segments  {picture}   (left: what the model sees; plain, so the owner's)")


if __name__ == "__main__":
    main()
