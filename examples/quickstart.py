"""The whole way on two cores: encrypt real images, train PEViT on them, reload it, compare.

    python examples/quickstart.py --output_dir outputs/quickstart

It took 2 minutes and 16 seconds, and another time 4 minutes, on two cores of an AMD EPYC. It plays every
role, one after the other: the owner encrypts pictures, scikit-learn's 1,797 handwritten digits; the builder
trains PEViT on the encrypted ones alone, with `run_image_classification.py`; whoever compares both has a
plain ViT of the same size trained on the plain ones.
"""

import argparse
import json
import shutil
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
from hipmr_hf.training.follow import follow

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EXAMPLES = Path(__file__).resolve().parent
IMAGE_SIZE, PATCH_SIZE = 32, 8
CARD = "pevit-digits-rs"
CAPTION = (
    "Random shuffling moves patches and leaves what is inside of them. Here 16 patches of 8 pixels hold\n"
    "whole strokes, so digits can still be guessed, and a jigsaw solver puts patches back. A photograph\n"
    "has many more patches, and settings that lose pixels leave less: docs/attacks.md."
)

# The owner's side: the only one that has plain pictures


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


def encrypt(plain: DatasetDict, encryption: RandomShuffling, folder: Path) -> Path:
    return save_encrypted_dataset(encrypt_dataset(plain, encryption), encryption, folder)


# The builder's side: encrypted pictures alone


def train(name: str, dataset: Path, output_dir: Path, epochs: int, *arguments: str) -> Path:
    """Run the training script as a user would, in a process of its own."""
    folder, log = output_dir / name, output_dir / f"{name}.log"
    command = [str(EXAMPLES / "run_image_classification.py"), "--dataset_name", str(dataset)]
    command += ["--output_dir", str(folder), "--do_train", "--do_eval", "--num_train_epochs", str(epochs)]
    command += ["--hidden_size", "96", "--num_hidden_layers", "4", "--num_attention_heads", "3"]
    command += ["--per_device_train_batch_size", "64", "--per_device_eval_batch_size", "256"]
    command += ["--turns", "none", "--learning_rate", "1e-3", "--weight_decay", "0.05"]
    command += ["--lr_scheduler_type", "cosine", "--warmup_steps", "60", "--use_cpu", *arguments]
    command += ["--logging_strategy", "epoch", "--eval_strategy", "epoch", "--save_strategy", "no"]
    print(f"training {name} for {epochs} epochs; its log is {log}", flush=True)
    told = {"loss": "loss", "eval_accuracy": "accuracy"}
    follow(command, log, epochs=epochs, metrics=told, home=output_dir / "cache")
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


# Whoever compares both sides


def draw_pictures(plain: Dataset, encrypted: Dataset, path: Path) -> None:
    figure, axes = plt.subplots(2, 8, figsize=(10, 3.8), layout="constrained")
    for column in range(8):
        for row, (name, dataset) in enumerate((("plain", plain), ("encrypted", encrypted))):
            axes[row, column].imshow(dataset[column]["image"], interpolation="nearest")
            axes[row, column].set(xticks=[], yticks=[])
            axes[row, 0].set_ylabel(name, fontsize=12)
        axes[0, column].set_title(f"“{plain[column]['label']}”")
    figure.supxlabel(CAPTION, fontsize=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_curves(folders: dict[str, Path], path: Path) -> None:
    """Training loss and accuracy on the test images, epoch by epoch."""
    figure, (losses, accuracies) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, folder in folders.items():
        history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        for axes, figures in ((losses, "loss"), (accuracies, "eval_accuracy")):
            points = [(entry["epoch"], entry[figures]) for entry in history if figures in entry]
            axes.plot(*zip(*points, strict=True), label=name)
    losses.set(xlabel="epoch", ylabel="training loss", yscale="log", title="Digits: training loss")
    accuracies.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1), title="Digits: accuracy on test images")
    accuracies.legend(loc="lower right")
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
    print("2 to 3 minutes on two cores", flush=True)

    plain = digits()
    encryption = RandomShuffling(image_size=IMAGE_SIZE, patch_size=PATCH_SIZE)
    encrypted_dir = encrypt(plain, encryption, output / "encrypted")
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
    draw_curves({"PEViT, encrypted": pevit, "ViT, plain": vit}, output / "curves.png")
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
loss and accuracy   {output / "curves.png"}"""
    )


if __name__ == "__main__":
    main()
