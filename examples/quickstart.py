"""The whole way on two cores in a few minutes: encrypt real images, train PEViT on them, reload it, compare.

    python examples/quickstart.py --output_dir outputs/quickstart

The images are scikit-learn's 1,797 handwritten digits. PEViT trains on the shuffled ones alone, with
`run_image_classification.py`; the same size of plain ViT trains on the plain ones for comparison.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, load_dataset
from PIL import Image as PILImage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm
from transformers import AutoImageProcessor, AutoModelForImageClassification

import hipmr_hf
from hipmr_hf import RandomShuffling, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.hub.card_renewal import save_card
from hipmr_hf.hub.cards import ModelFacts, model_card

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EXAMPLES = Path(__file__).resolve().parent
IMAGE_SIZE, PATCH_SIZE = 32, 8
CARD = "pevit-digits-rs"


def digits() -> DatasetDict:
    """scikit-learn's digits as 32x32 RGB pictures, 80 % for training."""
    data = load_digits()
    grey = (data.images * (255 / 16)).round().astype(np.uint8)
    pictures = [
        PILImage.fromarray(image).resize((IMAGE_SIZE,) * 2, PILImage.Resampling.BICUBIC) for image in grey
    ]
    pictures = [picture.convert("RGB") for picture in pictures]
    features = Features({"image": Image(), "label": ClassLabel(names=[str(i) for i in range(10)])})
    train, test = train_test_split(range(len(pictures)), test_size=0.2, random_state=0, stratify=data.target)
    return DatasetDict(
        {
            name: Dataset.from_dict(
                {"image": [pictures[i] for i in rows], "label": data.target[rows].tolist()}, features=features
            )
            for name, rows in (("train", train), ("test", test))
        }
    )


def train(name: str, dataset: Path, output_dir: Path, epochs: int, *arguments: str) -> Path:
    """Run the training script as a user would, in a process of its own."""
    folder = output_dir / name
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu"]
    command += [str(EXAMPLES / "run_image_classification.py"), "--dataset_name", str(dataset)]
    command += ["--output_dir", str(folder), "--do_train", "--do_eval", "--num_train_epochs", str(epochs)]
    command += ["--hidden_size", "96", "--num_hidden_layers", "4", "--num_attention_heads", "3"]
    command += [
        "--per_device_train_batch_size",
        "64",
        "--per_device_eval_batch_size",
        "256",
        "--turns",
        "none",
    ]
    command += ["--learning_rate", "1e-3", "--weight_decay", "0.05", "--lr_scheduler_type", "cosine"]
    command += ["--warmup_steps", "60", "--logging_strategy", "epoch", "--save_strategy", "no", "--use_cpu"]
    command += ["--report_to", "none", *arguments]
    environment = {**os.environ, "HF_HOME": str(output_dir / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    log = output_dir / f"{name}.log"
    print(f"training {name} for {epochs} epochs; its log is {log}", flush=True)
    with log.open("w") as file:
        done = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"training {name} failed; the end of {log}:\n{log.read_text()[-2000:]}")
    return folder


@torch.inference_mode()
def accuracy_after_reload(model_dir: Path, rows: Dataset) -> float:
    """Load the checkpoint the way anybody would, and classify encrypted test images."""
    model = AutoModelForImageClassification.from_pretrained(model_dir)
    processor = AutoImageProcessor.from_pretrained(model_dir)
    correct = 0
    for batch in tqdm(rows.iter(batch_size=128), total=-(-len(rows) // 128), desc="reloaded model"):
        logits = model(**processor(batch["image"], return_tensors="pt")).logits
        correct += int((logits.argmax(dim=1) == torch.tensor(batch["label"])).sum())
    return correct / len(rows)


def write_card(model_dir: Path, encryption: RandomShuffling, vit: dict, cards_dir: Path | None) -> None:
    """Put the baseline beside the results on the model's card, and keep a copy where asked."""
    pevit = json.loads((model_dir / "all_results.json").read_text())
    facts = ModelFacts(
        CARD,
        encryption,
        metrics=pevit,
        baselines={"ViT of the same size on plain images": vit},
        evaluated_on="the 360 test images of scikit-learn's handwritten digits",
        training_command="python examples/quickstart.py",
        num_parameters=pevit["num_parameters"],
        license="apache-2.0",
    )
    card = save_card(model_card(facts), model_dir)
    if cards_dir is not None:
        shutil.copy(card, cards_dir / f"{CARD}.md")
        results = {"pevit": pevit, "plain_vit": vit}
        (cards_dir / f"{CARD}.json").write_text(json.dumps(results, indent=1) + "\n")


def draw_pictures(plain: Dataset, encrypted: Dataset, path: Path) -> None:
    figure, axes = plt.subplots(2, 8, figsize=(10, 3), layout="constrained")
    for column in range(8):
        for row, (name, dataset) in enumerate((("plain", plain), ("encrypted", encrypted))):
            axes[row, column].imshow(dataset[column]["image"], interpolation="nearest")
            axes[row, column].set(xticks=[], yticks=[])
            axes[row, 0].set_ylabel(name, fontsize=12)
        axes[0, column].set_title(f"“{plain[column]['label']}”")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_losses(folders: dict[str, Path], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, folder in folders.items():
        history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        points = [(entry["epoch"], entry["loss"]) for entry in history if "loss" in entry]
        axes.plot(*zip(*points, strict=True), label=name)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", title="Digits: training loss")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/quickstart"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--model_cards_dir", type=Path, help="also put the model card and its figures here")
    args = parser.parse_args()
    output = args.output_dir
    if output.exists() and any(output.iterdir()):
        parser.error(f"--output_dir: {output} is not empty; remove it or name another.")
    output.mkdir(parents=True, exist_ok=True)

    plain = digits()
    encryption = RandomShuffling(image_size=IMAGE_SIZE, patch_size=PATCH_SIZE)
    encrypted_dir = save_encrypted_dataset(
        encrypt_dataset(plain, encryption), encryption, output / "encrypted"
    )
    plain_dir = output / "plain"
    for split, rows in plain.items():  # public pictures; the baseline needs them
        rows.to_parquet(plain_dir / "data" / f"{split}-00000-of-00001.parquet")

    baseline = ("--baseline", "vit", "--image_size", str(IMAGE_SIZE), "--patch_size", str(PATCH_SIZE))
    pevit = train("pevit", encrypted_dir, output, args.epochs, "--hub_model_id", CARD)
    vit = train("plain_vit", plain_dir, output, args.epochs, *baseline)

    encrypted = load_dataset(str(encrypted_dir), cache_dir=str(output / "cache"))
    reloaded = accuracy_after_reload(pevit, encrypted["test"])
    plain_results = json.loads((vit / "all_results.json").read_text())
    write_card(pevit, encryption, plain_results, args.model_cards_dir)
    draw_pictures(plain["test"], encrypted["test"], output / "plain_and_encrypted.png")
    draw_losses({"PEViT, encrypted": pevit, "ViT, plain": vit}, output / "loss.png")
    plain_accuracy = 100 * plain_results["eval_accuracy"]
    print(
        f"""
hipmr-hf {hipmr_hf.__version__}: {encryption}
accuracy on {len(encrypted["test"])} test images, {args.epochs} epochs:
  PEViT, trained and tested on encrypted images, reloaded with AutoModel: {100 * reloaded:.1f} %
  ViT of the same size, trained and tested on plain images:               {plain_accuracy:.1f} %

encrypted dataset   {encrypted_dir}
checkpoint          {pevit}
plain | encrypted   {output / "plain_and_encrypted.png"}
loss curves         {output / "loss.png"}"""
    )


if __name__ == "__main__":
    main()
