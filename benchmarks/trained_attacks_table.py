"""Render what trained attackers found: the tables of docs/attacks.md and the sheet of their pictures.

`python benchmarks/trained_attacks.py --report` does it from the measured JSON.
"""

import json
from pathlib import Path

import numpy as np
from pages import tell

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "trained_attacks.json"
PAGE = ROOT / "docs" / "attacks.md"
SHEET = ROOT / "docs" / "images" / "reconstructions.png"
MARK = "trained_attacks"
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
_DRAWN_AT = 300
"""Pixels of a picture's side in the sheet."""


def load_results(path: Path = RESULTS) -> dict[str, dict]:
    return json.loads(path.read_text())["experiments"] if path.exists() else {}


def picture_file(folder: Path, name: str, index: int, kind: str) -> Path:
    return folder / f"{name.replace(': ', '-').replace(', ', '-')}_{index}_{kind}.png"


def average(runs: list[dict], group: str, name: str) -> float:
    return float(np.mean([run[group][name] for run in runs]))


def spread(runs: list[dict], group: str, name: str, digits: int) -> str:
    """Mean and standard deviation over pictures."""
    values = [run[group][name] for run in runs]
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


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
    lines = [
        "| setting | attacker | n | likeness | chance | PSNR, dB | chance | SSIM | chance | training |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = _of(results, ("transformer", "decoder", "solver", "smoothness prior"))
    settings = list(dict.fromkeys(setting for _, setting, _ in rows))
    for kind, setting, result in sorted(rows, key=lambda row: settings.index(row[1])):
        runs = result["runs"]
        cells = [setting, kind, str(len(runs))]
        for score, digits in (("likeness", 2), ("psnr_aligned", 1), ("ssim_aligned", 2)):
            cells += [spread(runs, "scores", score, digits), f"{average(runs, 'chance', score):.{digits}f}"]
        lines.append(f"| {' | '.join([*cells, _effort(result)])} |")
    return "\n".join(lines)


def position_table(results: dict[str, dict]) -> str:
    """Attackers that give places, alone and with the jigsaw solver."""
    lines = [
        "| pictures, setting | n | Dc: network | chance "
        "| Nc: network | solver alone | solver helped | chance | training |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for _, setting, result in _of(results, ("position",)):
        runs = result["runs"]
        cells = [setting, str(len(runs)), spread(runs, "scores", "direct", 2)]
        cells += [f"{average(runs, 'chance', 'direct'):.3f}", spread(runs, "scores", "neighbour", 2)]
        cells += [spread(runs, "solver", f"{who}_neighbour", 2) for who in ("alone", "helped")]
        cells += [f"{average(runs, 'chance', 'neighbour'):.3f}", _effort(result)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def leak_table(results: dict[str, dict]) -> str:
    """Recovery from gradients."""
    lines = [
        "| gradients of | n | patches recovered | in place | patch PSNR, dB | one grey | method | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for _, model, result in _of(results, ("gradients",)):
        runs = result["runs"]
        cells = [model, str(len(runs))]
        cells += [spread(runs, "scores", *score) for score in (("recovered", 2), ("in_place", 2))]
        cells += [spread(runs, "scores", "patch_psnr", 1), f"{average(runs, 'chance', 'patch_psnr'):.1f}"]
        cells += [", ".join(sorted({run["method"] for run in runs}))]
        cells += [f"{np.mean([run['cpu_seconds'] for run in runs]):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rendered(results: dict[str, dict]) -> str:
    """The three tables; ± is the standard deviation over pictures."""
    return "\n\n".join(make(results) for make in (picture_table, position_table, leak_table))


def write_page(results: dict[str, dict]) -> str:
    """Replace what stands between the marks in docs/attacks.md, and return it."""
    text = rendered(results)
    tell(MARK, text, PAGE)
    return text


def draw_sheet(folder: Path, results: dict[str, dict], path: Path = SHEET) -> None:
    """Draw plain, encrypted and attacked photographs, every picture at the same size.

    Args:
        folder: with the pictures that the measuring kept.
        results: with the scores that stand below them.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (1.45 * len(SHEET_COLUMNS), 1.62 * len(SHEET_ROWS) + 0.45)
    figure, grid = plt.subplots(
        len(SHEET_ROWS), len(SHEET_COLUMNS), figsize=size, squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    for row, index in zip(grid, SHEET_ROWS, strict=True):
        for axes, (title, name, kind) in zip(row, SHEET_COLUMNS, strict=True):
            axes.imshow(_picture(picture_file(folder, name, index, kind)))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if index == SHEET_ROWS[0]:
                axes.set_title(title, fontsize=8)
            if kind == "found":
                scores = next(run for run in results[name]["runs"] if run["image"] == index)["scores"]
                axes.set_xlabel(f"likeness {scores['likeness']:.2f}", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _picture(file: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as picture:
        return np.asarray(picture.resize((_DRAWN_AT, _DRAWN_AT), Image.Resampling.NEAREST))
