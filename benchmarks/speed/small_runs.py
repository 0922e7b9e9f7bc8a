"""What small runs of the training scripts cost on one core: the seconds that other benchmarks have stored.

    python benchmarks/speed/small_runs.py

Measures nothing. Reads `benchmarks/results` and writes a table into examples/README.md: the shortest and the
longest run of each script, over settings and seeds. The seconds of adaptation are not stored, so its row is
an estimate: operations by what one core does, as in `recipes.py`.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness.arguments import script_parser
from benchmarks.harness.pages import tell
from benchmarks.harness.results_file import load_results, stored
from benchmarks.harness.tables import table
from benchmarks.speed.recipes import core_speed, operations
from hipmr_hf import RandomShuffling
from hipmr_hf.training.classification import build_pevit

MARK = "small-runs"
SHADOWS = 4
ADAPTED_ON, BATCH = 1000, 16  # steps, pictures of each


def span(seconds: list[float]) -> str:
    """Say the shortest and the longest of some times.

    Example:

        >>> span([17, 25.2]), span([145, 188]), span([169, 170])
        ('17 to 25 s', '2.4 to 3.1 minutes', '2.8 minutes')
    """
    unit, by = ("s", 1) if max(seconds) < 90 else ("minutes", 60)
    ends = dict.fromkeys(f"{end / by:.2g}" for end in (min(seconds), max(seconds)))
    return f"{' to '.join(ends)} {unit}"


def membership(privacy: str) -> list[float]:
    """Seconds of one model, for each setting; they include the answers that the attacks ask for."""
    records = load_results(stored("membership"), "records")
    return [one["cpu_seconds"] / one["models"] for one in records if one["privacy"] == privacy]


def adaptation() -> float:
    """Estimate the seconds of one core: DINOv2-small on pictures of 16 patches."""
    tiles = RandomShuffling(image_size=64, patch_size=16, interval=4, sub_patch_grid=2, shuffle_tones=True)
    with torch.device("meta"):
        model, _ = build_pevit(tiles, size="small", patch_embedding="invariant", num_labels=10)
    return ADAPTED_ON * BATCH * operations(model, tiles.encrypted_size) / core_speed()


def rendered() -> str:
    """A row for each script."""
    eurosat, bccd = (load_results(stored(name)) for name in ("eurosat_accuracy", "bccd_detection"))
    masks, pretraining = (load_results(stored(name)) for name in ("digit_masks", "pretraining"))
    (epochs,), (found_after,) = ({run["epochs"] for run in runs} for runs in (masks, bccd))
    (taught,) = {run["epochs"] for run in eurosat}
    told = [run for run in pretraining if run["pretraining"]]
    arguments = load_results(stored("membership"), "arguments")
    half = arguments["pool"] // 2
    rows = [
        (
            "`run_image_classification.py`, `..._no_trainer.py`",
            f"6,000 tiles of 64x64 pixels, patches of 8, {taught} epochs",
            span([run["train_seconds"] for run in eurosat]),
            "accuracy/eurosat",
        ),
        (
            "`run_image_classification_dp.py`",
            f"{half} tiles of 48x48, {arguments['private_epochs']} epochs, epsilon {arguments['epsilon']:g}, "
            "48 wide with 3 blocks",
            span(membership("DP-SGD")),
            "attacks/membership",
        ),
        (
            "`train_shadow_models.py`",
            f"{SHADOWS} such models on {half} such tiles, {arguments['epochs']} epochs each",
            span([SHADOWS * seconds for seconds in membership("none")]),
            "attacks/membership",
        ),
        (
            "`run_pretraining.py`",
            f"{told[0]['tiles']:,} tiles of 64x64, {told[0]['pretraining_epochs']} epochs",
            span([run["pretraining"]["cpu_seconds"] for run in told]),
            "accuracy/pretraining",
        ),
        (
            "`run_semantic_segmentation.py`",
            f"{masks[0]['train_scenes']} scenes of 48x48 pixels, {epochs} epochs",
            span([run["cpu_seconds"] for run in masks]),
            "accuracy/digit_masks",
        ),
        (
            "`run_object_detection.py`",
            f"205 smears, {found_after} epochs, 192 wide; the longer ones beside other work",
            span([run["train_seconds"] for run in bccd]),
            "accuracy/bccd",
        ),
        (
            "`adapt_backbone.py`",
            f"{ADAPTED_ON:,} steps of {BATCH} tiles of 16 patches, DINOv2-small",
            f"≈ {span([adaptation()])} (estimate, of operations alone)",
            "accuracy/pretrained",
        ),
    ]
    heads = ["script", "run", "one core", "the run's benchmark"]
    return table(heads, [[*cells, f"`benchmarks/{script}.py`"] for *cells, script in rows])


def main() -> None:
    script_parser(__doc__).parse_args()
    print(rendered())
    tell(MARK, rendered())


if __name__ == "__main__":
    main()
