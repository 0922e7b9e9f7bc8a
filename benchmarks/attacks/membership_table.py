"""Score the models of `membership.py` by LiRA, and render the table of docs/attacks.md."""

from pathlib import Path

import numpy as np

from benchmarks.harness.tables import mean_and_deviation, table
from hipmr_hf.attacks.membership import confidence, every_model_in_turn, membership_result

MARK = "membership"
ATTACKS = (
    ("the rows themselves", "rows", "online"),
    ("the rows themselves", "rows", "offline"),
    ("encrypted afresh", "fresh", "online"),
)
"""What the attacker asks about, as it is called in the stored logits, and the variant of LiRA."""


def scored(paths: list[Path], about: dict) -> list[dict]:
    """Attack every model of a cell in turn; a record for each attack, and one for the control.

    Args:
        paths: the stored logits of at least five models.
        about: what the records tell of the cell.
    """
    runs = [dict(np.load(path)) for path in paths]
    members = np.stack([run["members"] for run in runs])
    told = about | {
        "models": len(runs),
        "accuracy": [float(run["accuracy"]) for run in runs],
        "members_accuracy": [float(run["members_accuracy"]) for run in runs],
        "epsilon": None if about["privacy"] == "none" else max(float(run["epsilon"]) for run in runs),
        "cpu_seconds": round(float(sum(run["cpu_seconds"] for run in runs)), 1),
    }
    records = []
    for candidates, stored, variant in ATTACKS:
        logits = np.stack([run[stored] for run in runs])
        known = confidence(logits, runs[0]["labels"], queries=stored == "fresh")
        scores = list(every_model_in_turn(known, members, variant=variant))
        records.append(told | {"candidates": candidates, "variant": variant} | _rates(scores, members))
    dealt = np.random.default_rng(0).permuted(members, axis=1)
    known = confidence(np.stack([run["rows"] for run in runs]), runs[0]["labels"])
    control = _rates(list(every_model_in_turn(known, members)), dealt)
    return [*records, told | {"candidates": "members dealt anew (control)", "variant": "online"} | control]


def _rates(scores: list[np.ndarray], members: np.ndarray) -> dict:
    """AUC and true positives for each target, and at .1 % false positives over all of them together."""
    results = [membership_result(*one) for one in zip(scores, members, strict=True)]
    together = membership_result(np.concatenate(scores), members.ravel())
    return {
        "auc": [round(result.auc, 4) for result in results],
        "true_positives_1": [round(result.true_positives[0.01], 4) for result in results],
        "true_positives_01_together": round(together.true_positives[0.001], 4),
        "members": together.num_members,
        "others": together.num_others,
    }


def figures(records: list[dict]) -> list[dict]:
    """What an audit tells of each cell: the offline attack on the rows, mean over targets."""
    return [
        {
            "setting": one["setting"],
            "epsilon": one["epsilon"],
            "found": round(float(np.mean(one["true_positives_1"])), 4),
            "area": round(float(np.mean(one["auc"])), 4),
        }
        for one in records
        if one["variant"] == "offline"
    ]


def rendered(results: dict) -> str:
    """A row for each cell and attack, ± the standard deviation over targets; then how rates were chosen."""
    heads = ["encryption", "training", "test accuracy, %", "on members, %", "candidates", "LiRA", "AUC"]
    heads += ["found at 1 % false positives", "at .1 %"]
    rows = []
    for one in results["records"]:
        epsilon = one["epsilon"]
        rows.append(
            [
                one["setting"],
                "no privacy" if epsilon is None else f"epsilon {epsilon:.1f}",
                mean_and_deviation([100 * share for share in one["accuracy"]], 1),
                mean_and_deviation([100 * share for share in one["members_accuracy"]], 1),
                one["candidates"],
                one["variant"],
                mean_and_deviation(one["auc"], 3),
                mean_and_deviation(one["true_positives_1"], 3),
                f"{one['true_positives_01_together']:.3f}",
            ]
        )
    chance = ["chance", "", 10.0, "", "", "", "0.500", "0.010", "0.001"]
    parts = [table(heads, [*rows, chance])]
    if results["validation"]:
        told = (
            "Accuracy on validation tiles, %, by the highest rate; means of two models (tried twice: four):"
        )
        parts += [told, _validation(results["validation"])]
    return "\n\n".join(parts)


def _validation(tried: list[dict]) -> str:
    rates = sorted({one["learning_rate"] for one in tried})
    found: dict[tuple, dict[float, list[float]]] = {}
    for one in tried:
        row = found.setdefault((one["setting"], one["privacy"]), {rate: [] for rate in rates})
        row[one["learning_rate"]] += one["accuracy"]
    rows = [
        [*cell, *(f"{100 * np.mean(told):.1f}" if told else "-" for told in row.values())]
        for cell, row in found.items()
    ]
    return table(["encryption", "training", *map(str, rates)], rows)
