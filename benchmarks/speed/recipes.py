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
from benchmarks.harness.pages import ROOT, tell
from benchmarks.harness.results_file import stored
from benchmarks.harness.tables import table
from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.training.classification import build_pevit
from hipmr_hf.training.detectors import build_peyolos
from hipmr_hf.training.segmentation import build_segmenter

MARK = "recipes"
GPU = 100e12  # operations a second
DEFAULT, DENSE = (Encryption.from_preset(name) for name in ("classification", "dense"))
TILES = Encryption.from_preset("classification", 64)
# (encryption, images of the training split, classes, size of an encrypted image)
DATA = {
    "outputs/imagenet_rs": (RandomShuffling(), 1_281_167, 1000, (224, 224)),
    "outputs/imagenet_classification": (DEFAULT, 1_281_167, 1000, DEFAULT.encrypted_size),
    "outputs/imagenet_mi": (MixingUp(image_size=224), 1_281_167, 1000, (112, 112)),
    "outputs/imagenet_dense": (DENSE, 1_281_167, 1000, DENSE.encrypted_size),
    # most pictures are 480 x 640, and so become 800 x 1066, cut to whole patches and halved
    "outputs/coco_mi": (MixingUp(), 118_287, 80, (400, 528)),
    "outputs/coco_dense": (Encryption.from_preset("dense", None), 118_287, 80, (400, 528)),
    "outputs/digits_masks_mi": (Encryption.from_preset("dense", (96, 128)), 1000, 2, (48, 64)),
    "outputs/digits_labels": (TILES, 1000, 1, TILES.encrypted_size),
    "outputs/eurosat": (TILES, 6000, 10, TILES.encrypted_size),
    "eurosat": (DEFAULT, 2000, 10, DEFAULT.encrypted_size),
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
    encryption, _, num_labels, size = DATA[data_of(recipe)]
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_embedding")
    options = {name: recipe.get(name) for name in names} | {"num_labels": num_labels}
    options["size"] = recipe.get("model_size", "small")
    if "teacher_name_or_path" in recipe:  # a converted backbone, which keeps its own
        options["patch_embedding"] = "linear"
    with torch.device("meta"):
        if "masks" in data_of(recipe):
            return build_segmenter(encryption, size, **options)[0]
        if "coco" in data_of(recipe):
            tokens = {name: recipe[name] for name in ("num_detection_tokens", "use_mid_position_embeddings")}
            return build_peyolos(encryption, size, **options, **tokens)[0]
        return build_pevit(encryption, position_encoding=recipe.get("position_encoding"), **options)[0]


def data_of(recipe: dict) -> str:
    """Name the encrypted pictures of a recipe, or the public ones that it adapts a backbone on."""
    return recipe.get("dataset_name") or recipe["pictures"]


def trained_on(recipe: dict) -> tuple[int, str]:
    """Count the pictures of a recipe's steps, each as often as it is taken, and say so in words."""
    if steps := recipe.get("max_train_steps"):
        batch = recipe["per_device_train_batch_size"]
        return steps * batch, f"{steps:,} steps of {batch} images"
    images, epochs = DATA[data_of(recipe)][1], recipe["num_train_epochs"]
    return images * epochs, f"{images:,} images, {epochs} epochs"


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


def rendered() -> str:
    """A row for each recipe."""
    speed, rows = core_speed(), []
    for path in sorted((ROOT / "examples" / "recipes").glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text())
        each = operations(build(recipe), DATA[data_of(recipe)][3])
        images, said = trained_on(recipe)
        total = each * images
        cells = [said, f"{each / 1e9:,.3g}", f"{total:.1e}"]
        rows.append([f"`{path.name}`", *cells, hours(total / GPU), hours(total / (2 * speed))])
    heads = ["recipe", "trains on", "10^9 operations an image", "in all", "one GPU", "two cores"]
    return table(heads, rows)


def main() -> None:
    script_parser(__doc__).parse_args()
    print(f"one core: {core_speed() / 1e9:.0f} * 10^9 operations a second\n")
    tell(MARK, rendered())
    print(rendered())


if __name__ == "__main__":
    main()
