"""What the recipes of `examples/recipes` cost: operations, and hours on one GPU and on two cores.

    python benchmarks/speed/recipes.py

Builds the model of each recipe without weights, counts the operations of a forward and backward pass on an
image of the recipe's size, and multiplies by images and epochs. Nothing is trained: **all hours are
estimates**, operations divided by a speed. Two cores: twice what one core does in training PEViT tiny
(`benchmarks/results/speed_training_input.json`). One GPU: 100 TFLOP/s, a third of the bf16 peak of an A100.
"""

import json
import sys
from pathlib import Path

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import ROOT
from benchmarks.harness.results_file import stored
from benchmarks.harness.tables import table
from hipmr_hf import MixingUp, RandomShuffling
from hipmr_hf.training.classification import build_pevit
from hipmr_hf.training.detectors import build_peyolos
from hipmr_hf.training.segmentation import build_segmenter

GPU = 100e12  # operations a second
DIGITS = MixingUp(image_size=(96, 128), patch_size=8)
# (encryption, images of the training split, classes, size of an encrypted image)
DATA = {
    "outputs/imagenet_rs": (RandomShuffling(), 1_281_167, 1000, (224, 224)),
    "outputs/imagenet_rs_turned": (RandomShuffling(sub_patch_grid=2), 1_281_167, 1000, (112, 112)),
    "outputs/imagenet_mi": (MixingUp(image_size=224), 1_281_167, 1000, (112, 112)),
    # most pictures are 480 x 640, and so become 800 x 1066, cut to whole patches and halved
    "outputs/coco_mi": (MixingUp(), 118_287, 80, (400, 528)),
    "outputs/coco_mi_turned": (MixingUp(), 118_287, 80, (400, 528)),
    "outputs/digits_masks_mi": (DIGITS, 1000, 2, (48, 64)),
}


def operations(model: torch.nn.Module, size: tuple[int, int]) -> int:
    """Count those of a forward and backward pass on one image of this size, on no device at all."""
    model = model.to("meta").train()
    model.set_attn_implementation("eager")  # whose matrix products are counted
    with FlopCounterMode(display=False) as counter:
        model(pixel_values=torch.empty(1, 3, *size, device="meta")).logits.sum().backward()
    return counter.get_total_flops()


def build(recipe: dict) -> torch.nn.Module:
    """Build the model that the recipe's script builds."""
    encryption, _, num_labels, size = DATA[recipe["dataset_name"]]
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_embedding")
    options = {name: recipe.get(name) for name in names} | {"num_labels": num_labels}
    options["size"] = recipe.get("model_size", "small")
    with torch.device("meta"):
        if "masks" in recipe["dataset_name"]:
            return build_segmenter(encryption, size, **options)[0]
        if "coco" in recipe["dataset_name"]:
            tokens = {name: recipe[name] for name in ("num_detection_tokens", "use_mid_position_embeddings")}
            return build_peyolos(encryption, size, **options, **tokens)[0]
        return build_pevit(encryption, position_encoding=recipe["position_encoding"], **options)[0]


def core_speed() -> float:
    """Return operations a second of one core, as measured with PEViT tiny on 224x224 pixels."""
    rows = json.loads(stored("speed_training_input").read_text())["rows"]
    (rate,) = (sorted(row["rate"])[1] for row in rows if "what PEViT tiny takes" in row["what"])
    with torch.device("meta"):
        model, _ = build_pevit(RandomShuffling(), size="tiny", num_labels=10)
    return rate * operations(model, (224, 224))


def hours(seconds: float) -> str:
    """Write a time so that nobody takes it for exact.

    Example:

        >>> hours(60), hours(600), hours(7200), hours(864000)
        ('a minute or less', '≈ 10 minutes', '≈ 2 hours', '≈ 10 days')
    """
    for unit, length in (("years", 365 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 1.5 * length:
            return f"≈ {seconds / length:.0f} {unit}"
    return f"≈ {seconds / 60:.0f} minutes" if seconds >= 90 else "a minute or less"


def main() -> None:
    script_parser(__doc__).parse_args()
    speed, rows = core_speed(), []
    for path in sorted((ROOT / "examples" / "recipes").glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text())
        _, images, _, size = DATA[recipe["dataset_name"]]
        each, epochs = operations(build(recipe), size), recipe["num_train_epochs"]
        total = each * images * epochs
        cells = [f"{images:,} images, {epochs} epochs", f"{each / 1e9:,.3g}", f"{total:.1e}"]
        rows.append([f"`{path.name}`", *cells, hours(total / GPU), hours(total / (2 * speed))])
    heads = ["recipe", "trains on", "10^9 operations an image", "in all", "one GPU", "two cores"]
    print(f"one core: {speed / 1e9:.0f} * 10^9 operations a second\n")
    print(table(heads, rows))


if __name__ == "__main__":
    main()
