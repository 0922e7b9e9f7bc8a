"""Render what trained attackers found: the tables of docs/attacks.md and the sheet of their pictures.

`python benchmarks/attacks/trained.py --report` does it from the measured JSON.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.figures import Cell, contact_sheet
from benchmarks.harness.pages import IMAGES
from benchmarks.harness.tables import mean_and_deviation, table

MARK = "trained_attacks"
LONG = 600
"""Processor seconds of training from which on the curve is shown."""
_TOLD = ("step", "cpu_seconds", "loss")
SHEET_ROWS = (4, 6, 14)
"""Photographs that are drawn."""
SHEET_COLUMNS = (
    ("plain", "transformer: RS", "plain"),
    ("RS: encrypted", "solver: RS", "encrypted"),
    ("solver,\nlearned nothing", "solver: RS", "found"),
    ("transformer,\ntrained", "transformer: RS", "found"),
    ("RS+MI, symmetries,\nnormalization: encrypted", "solver: RS+MI, symmetries, normalization", "encrypted"),
    ("solver,\nlearned nothing", "solver: RS+MI, symmetries, normalization", "found"),
    ("transformer,\ntrained", "transformer: RS+MI, symmetries, normalization", "found"),
    ("MI: encrypted", "decoder: MI", "encrypted"),
    ("decoder,\ntrained", "decoder: MI", "found"),
    ("MI, symmetries,\nnormalization: encrypted", "decoder: MI, symmetries, normalization", "encrypted"),
    ("decoder,\ntrained", "decoder: MI, symmetries, normalization", "found"),
)
"""Title, experiment, and which of its pictures."""


def picture_file(folder: Path, name: str, index: int, kind: str) -> Path:
    return folder / f"{name.replace(': ', '-').replace(', ', '-')}_{index}_{kind}.png"


def average(runs: list[dict], group: str, name: str) -> float:
    return float(np.mean([run[group][name] for run in runs]))


def spread(runs: list[dict], group: str, name: str, digits: int) -> str:
    """Mean and standard deviation over pictures."""
    return mean_and_deviation([run[group][name] for run in runs], digits)


def _effort(result: dict) -> str:
    effort = result["training"]
    if not effort:
        return f"nothing learned, {np.mean([run['cpu_seconds'] for run in result['runs']]):.1f} s a picture"
    return f"{effort['cpu_seconds']:.0f} s, {effort['steps']} steps, {effort['source_images']} pictures"


def _of(results: dict[str, dict], kinds: tuple[str, ...]) -> list[tuple[str, str, dict]]:
    named = [(*name.split(": ", 1), result) for name, result in results.items()]
    return [(kind, setting, result) for kind, setting, result in named if kind in kinds]


def picture_table(results: dict[str, dict]) -> str:
    """Attackers that give a picture, setting by setting."""
    found = _of(results, ("transformer", "decoder", "solver", "smoothness prior"))
    settings = list(dict.fromkeys(setting for _, setting, _ in found))
    rows = []
    for kind, setting, result in sorted(found, key=lambda row: settings.index(row[1])):
        runs = result["runs"]
        cells = [setting, kind, len(runs)]
        for score, digits in (("likeness", 2), ("psnr_aligned", 1), ("ssim_aligned", 2)):
            cells += [spread(runs, "scores", score, digits), f"{average(runs, 'chance', score):.{digits}f}"]
        rows.append([*cells, _effort(result)])
    scores = ("likeness", "chance", "PSNR, dB", "chance", "SSIM", "chance")
    return table(["setting", "attacker", "n", *scores, "training"], rows)


def position_table(results: dict[str, dict]) -> str:
    """Attackers that give places, alone and with the jigsaw solver."""
    rows = []
    for _, setting, result in _of(results, ("position",)):
        runs = result["runs"]
        cells = [setting, len(runs), spread(runs, "scores", "direct", 2)]
        cells += [f"{average(runs, 'chance', 'direct'):.3f}", spread(runs, "scores", "neighbour", 2)]
        cells += [spread(runs, "solver", f"{who}_neighbour", 2) for who in ("alone", "helped")]
        rows.append([*cells, f"{average(runs, 'chance', 'neighbour'):.3f}", _effort(result)])
    heads = ["pictures, setting", "n", "Dc: network", "chance", "Nc: network"]
    return table([*heads, "solver alone", "solver helped", "chance", "training"], rows)


def leak_table(results: dict[str, dict]) -> str:
    """Recovery from gradients."""
    rows = []
    for _, model, result in _of(results, ("gradients",)):
        runs = result["runs"]
        cells = [model, len(runs)]
        cells += [spread(runs, "scores", *score) for score in (("recovered", 2), ("in_place", 2))]
        cells += [spread(runs, "scores", "patch_psnr", 1), f"{average(runs, 'chance', 'patch_psnr'):.1f}"]
        cells += [", ".join(sorted({run["method"] for run in runs}))]
        rows.append([*cells, f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}"])
    heads = ["gradients of", "n", "patches recovered", "in place", "patch PSNR, dB", "one grey"]
    return table([*heads, "method", "CPU s"], rows)


def curve_table(results: dict[str, dict]) -> str:
    """What attackers that trained for long find as their time goes by, in pictures that they only follow."""
    rows = []
    for kind, setting, result in _of(results, ("transformer", "decoder", "position")):
        if result["training"]["cpu_seconds"] < LONG:
            continue
        for point in result["curve"]:
            measured = [f"{score} {value:.3f}" for score, value in point.items() if score not in _TOLD]
            loss = f"{point['loss']:.4f}"
            rows.append(
                [setting, kind, f"{point['cpu_seconds']:.0f}", point["step"], loss, ", ".join(measured)]
            )
    if not rows:
        return ""
    told = f"Those that trained for {LONG // 60} minutes or more, as their time went by:"
    heads = ["setting", "attacker", "CPU s", "steps", "loss", "in pictures not learned from"]
    return f"{told}\n\n{table(heads, rows)}"


def rendered(results: dict[str, dict]) -> str:
    """The tables; ± is the standard deviation over pictures."""
    parts = (make(results) for make in (picture_table, position_table, leak_table, curve_table))
    return "\n\n".join(filter(None, parts))


def draw_sheet(folder: Path, results: dict[str, dict]) -> None:
    """Draw plain, encrypted and attacked photographs.

    Args:
        folder: with the pictures that the measuring kept.
        results: with the scores that stand below them.
    """

    def cell(index: int, name: str, kind: str) -> Cell:
        runs = {run["image"]: run for run in results[name]["runs"]}
        note = f"likeness {runs[index]['scores']['likeness']:.2f}" if kind == "found" else ""
        with Image.open(picture_file(folder, name, index, kind)) as picture:
            return Cell(np.asarray(picture), note)

    titles = [title for title, _, _ in SHEET_COLUMNS]
    rows = [[cell(index, name, kind) for _, name, kind in SHEET_COLUMNS] for index in SHEET_ROWS]
    contact_sheet(IMAGES / "reconstructions.png", titles, rows, width=1.45, font=8, dpi=110)
