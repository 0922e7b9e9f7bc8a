"""Which invariant patch embedding: variants of the one that ships, on validation tiles of the default preset.

    python benchmarks/accuracy/embedding_variants.py --data_dir ../shared/data

Trains `presets.py`'s model for the preset "classification" (same budget and augmentation) with other patch
embeddings in the place of the one that ships, t = B mean_k act(A T_k(x) + a) + C [m; s] + b: its activation
after the mean over the turns, kernels half and twice as many, no mixing B of them, tones as they are or
brought to mean 0 and deviation 1 in every picture. Evaluates on a tenth of the training tiles, and on nothing
else: this is what a choice is made by. *Time* is that of a training step of 64 tiles beside the linear
embedding's, the least of several taken in turns. Results go to
`benchmarks/results/embedding_variants.json` as they come, and the table to docs/results.md.
"""

import argparse
import functools
import runpy
import sys
import time
from pathlib import Path

import torch
from datasets import disable_progress_bars
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy import presets
from benchmarks.accuracy.eurosat import SIZE, TENTH, classification_arguments, options_of, prepare_data
from benchmarks.harness import trainings
from benchmarks.harness.pages import ROOT, publish
from benchmarks.harness.results_file import load_results
from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf import Encryption, PEViTForImageClassification
from hipmr_hf.models import embeddings_pevit
from hipmr_hf.models.embeddings_pevit import PEViTInvariantPatchEmbeddings, turned
from hipmr_hf.training.classification import pevit_config_for

MARK, SCRIPT = "embedding_variants", "run_image_classification.py"
PRESET = "RS+MI interval 4, symmetries, tones apart; invariant"


class ActivationAfter(PEViTInvariantPatchEmbeddings):
    """Act on the mean over the turns, which makes all turns of a kernel one, and the convolution as cheap."""

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """As the one that ships, for pixel values of the right shape."""
        kernel = torch.stack(turned(self.projection.weight)).mean(dim=0)
        features = nn.functional.conv2d(pixel_values, kernel, self.projection.bias, self.patch_size)
        return self.mixing(self.activation(features)) + self.tones(self.measure_tones(pixel_values))


class OtherWidth(PEViTInvariantPatchEmbeddings):
    """More or fewer kernels than the token is wide; `mixing` makes a token of what they find."""

    share = 1.0

    def __init__(self, config):
        super().__init__(config)
        width, patch = round(self.share * config.hidden_size), config.patch_size
        self.projection = nn.Conv2d(config.num_channels, width, patch, patch)
        self.mixing = nn.Conv2d(width, config.hidden_size, 1)


class HalfWidth(OtherWidth):
    """Half as many kernels as the token is wide."""

    share = 0.5


class DoubleWidth(OtherWidth):
    """Twice as many."""

    share = 2.0


class WithoutMixing(PEViTInvariantPatchEmbeddings):
    """What the kernels find is the token."""

    def __init__(self, config):
        super().__init__(config)
        self.mixing = nn.Identity()


class TonesAsTheyAre(PEViTInvariantPatchEmbeddings):
    """Means and contrasts of pixel values, not brought to unit size."""

    def measure_tones(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * channels, rows, columns)."""
        mean, contrast = super().measure_tones(pixel_values).chunk(2, dim=1)
        scales = embeddings_pevit._MEAN_SCALE, embeddings_pevit._CONTRAST_SCALE
        return torch.cat((mean / scales[0], contrast / scales[1]), dim=1)


class TonesStandardized(PEViTInvariantPatchEmbeddings):
    """Means and contrasts against those of the picture's other patches."""

    def measure_tones(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * channels, rows, columns)."""
        tones = super().measure_tones(pixel_values)
        deviation, mean = torch.std_mean(tones, dim=(2, 3), keepdim=True, correction=0)
        return (tones - mean) / (deviation + 1e-3)


VARIANTS = {
    "as it ships": PEViTInvariantPatchEmbeddings,
    "activation after the mean": ActivationAfter,
    "half as many kernels": HalfWidth,
    "twice as many kernels": DoubleWidth,
    "no mixing of what kernels find": WithoutMixing,
    "tones as they are": TonesAsTheyAre,
    "tones standardised in each picture": TonesStandardized,
}


def train(args: argparse.Namespace, name: str, seed: int) -> dict:
    """Train and evaluate one variant, in a process of its own."""
    (setting,) = (setting for setting in presets.SETTINGS if setting.name == PRESET)
    prepare_data(setting, args)
    options = options_of(setting, seed, args)
    options["output_dir"] = trainings.run_folder(args, name, seed)
    metrics, history = trainings.run_example(str(Path(__file__)), {"variant": name, **options}, args.extra)
    result = presets.result_of(args, name, setting, seed, metrics, history)
    return result | {"steps": steps_beside_linear(name)}


def train_here() -> None:
    """Run the training script as it is, with the variant that the command line names."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--variant", choices=VARIANTS)
    known, rest = parser.parse_known_args()
    embeddings_pevit.build_patch_embeddings = VARIANTS[known.variant]
    script = ROOT / "examples" / SCRIPT
    sys.argv = [str(script), *rest]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


def steps_beside_linear(name: str, *, rounds: int = 12) -> float:
    """Time a training step of the preset's model with this embedding, in turns with the linear one."""
    (setting,) = (setting for setting in presets.SETTINGS if setting.name == PRESET)
    height, width = setting.encryption.encrypted_size
    pixels, labels = torch.randn(64, 3, height, width), torch.zeros(64, dtype=torch.long)
    models = [_classifier(setting.encryption, "linear"), _classifier(setting.encryption, "invariant")]
    models[1].pevit.embeddings.patch_embeddings = VARIANTS[name](models[1].config)
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for model, taken in zip(models, seconds, strict=True):
            started = time.process_time()
            model(pixels, labels=labels).loss.backward()
            taken.append(time.process_time() - started)
    return min(seconds[1]) / min(seconds[0])


def _classifier(encryption: Encryption, patch_embedding: str) -> PEViTForImageClassification:
    overrides = {"patch_embedding": patch_embedding, "position_encoding": "none", "num_labels": 10, **SIZE}
    return PEViTForImageClassification(pevit_config_for(encryption, "tiny", **overrides)).train()


def rendered(results: list[dict]) -> str:
    """Render one line for each variant: mean and spread over the seeds that were trained."""
    rows = []
    for name in VARIANTS:
        runs = [run for run in results if run["setting"] == name]
        if runs:
            scores = mean_and_deviation([100 * run["accuracy"] for run in runs], 1)
            told = [f"{runs[0]['num_parameters']:,}", f"{min(run['steps'] for run in runs):.2f}"]
            rows.append([name, scores, len(runs), *told])
    if not rows:
        return "No row is stored yet."
    return table(["embedding", "validation accuracy, %", "seeds", "parameters", "time of a step"], rows)


def main() -> None:
    args = classification_arguments(__doc__, MARK, "presets", 15, TENTH)
    args.validation = True
    disable_progress_bars()
    if not args.report:
        names = [name for name in VARIANTS if not args.only or name in args.only]
        trainings.train_missing(args, names, functools.partial(train, args), "accuracy")
    publish(MARK, rendered(load_results(args.results)), args.results)


if __name__ == "__main__":
    train_here() if "--variant" in sys.argv else main()
