"""Whether a trained model tells which rows it was trained on: LiRA on a checkpoint, with shadow models."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attacks.membership import (
    FALSE_POSITIVES,
    MANY_SHADOWS,
    confidence,
    likelihood_ratio,
    membership_result,
)
from ..attacks.shadow_rows import row_name, shadow_folders
from ..errors import InputValueError
from ..layout import CARD_FILE

if TYPE_CHECKING:
    import datasets

FEWEST_SHADOWS = 4
MOST_ROWS = 5000
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class MembershipRecord:
    """How well members of a checkpoint's training rows were found.

    Args:
        found: share of the members that are found, by the share of others that are taken for members.
        area: under the ROC curve; guessing gives .5.
        variant: of LiRA, "offline" or "online".
        shadows: how many shadow models the attacker had.
        members, others: rows that were asked about.
        members_accuracy, others_accuracy: of the checkpoint.
        epsilon, delta: what its training spent, by its card; None where it was not private.
    """

    found: dict[float, float]
    area: float
    variant: str
    shadows: int
    members: int
    others: int
    members_accuracy: float
    others_accuracy: float
    epsilon: float | None = None
    delta: float | None = None

    @property
    def training(self) -> str:
        """How the checkpoint was trained, in words."""
        if self.epsilon is None:
            return "without privacy"
        return f"with epsilon {self.epsilon:.3g} at delta {self.delta or 0:.1g}"

    @property
    def sentence(self) -> str:
        """What was found, in one sentence.

        Example:
            >>> rates = {0.001: 0.002, 0.01: 0.034}
            >>> MembershipRecord(rates, 0.64, "offline", 4, 2500, 2500, 0.86, 0.73).sentence[:66]
            'of a model trained without privacy, 3.4% of the members are found '
        """
        shares = " and ".join(
            f"{found:.1%} of the members are found at {share:.1%} false positives"
            for share, found in sorted(self.found.items(), reverse=True)
        )
        few = "" if self.others >= 1000 else f" ({self.others} others: at 0.1% none may be taken wrongly)"
        return (
            f"of a model trained {self.training}, {shares}{few}, area {self.area:.2f} (chance 0.50); LiRA, "
            f"{self.variant}, {self.shadows} shadow models: a lower bound"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        told = dataclasses.asdict(self) | {"training": self.training, "sentence": self.sentence}
        return told | {"found": {str(share): found for share, found in self.found.items()}}


def audit_checkpoint(
    checkpoint: str,
    shadows: str | Path,
    dataset_name: str,
    *,
    train_split: str = "train",
    eval_split: str = "test",
    label_column: str = "label",
    seed: int = 0,
) -> MembershipRecord:
    """Attack a checkpoint: tell the rows that it was trained on from others of the same dataset.

    Args:
        checkpoint: folder or Hub repository of a classifier, trained on all of `train_split`.
        shadows: folder of shadow models that were trained alike, as `examples/train_shadow_models.py` makes
            them; at least four.
        dataset_name: folder or Hub repository of the encrypted dataset.
        train_split, eval_split: members, and rows that the checkpoint never saw.
        label_column: one class a picture.
        seed: of the rows that are asked about, at most 5,000 of each split.

    Raises:
        InputValueError: too few shadow models, rows that they do not know, or what `load_splits` and
            `load_encryption` refuse.
        MissingFileError: there is no such dataset, checkpoint or shadow model.
    """
    from ..training.splits import class_names, load_encryption, load_splits

    folders = shadow_folders(Path(shadows))
    if len(folders) < FEWEST_SHADOWS:
        raise InputValueError(
            f"--shadows: found {len(folders)} shadow models, expected at least {FEWEST_SHADOWS}; train more "
            "with examples/train_shadow_models.py --num_shadows."
        )
    for model in (checkpoint, *map(str, folders)):
        load_encryption(dataset_name, model_name=model)
    splits = load_splits(
        dataset_name, train_split=train_split, eval_split=eval_split, label_column=label_column
    )
    rows = [_some(split, seed) for split in splits]
    names = [name for split in rows for name in _row_names(split)]
    members = np.arange(len(names)) < len(rows[0])
    saw = np.array([[name in known for name in names] for known in folders.values()])
    many = len(folders) >= MANY_SHADOWS
    told = saw.any(axis=0) & ~saw.all(axis=0) if many else ~saw.all(axis=0)
    if not saw.any() or not (told & members).any() or not (told & ~members).any():
        raise InputValueError(
            f"--shadows: they know no rows of {dataset_name} that one of them saw and another did not; they "
            "belong to another dataset. Train them on this one with examples/train_shadow_models.py."
        )
    classes = class_names(rows[0], label_column)
    labels = np.array([label for split in rows for label in split[label_column]])
    logits = np.stack([_logits(model, rows, classes) for model in (checkpoint, *map(str, folders))])
    right = logits[0].argmax(axis=1) == labels
    surety = confidence(logits[:, told], labels[told])
    variant = "online" if many else "offline"
    scores = likelihood_ratio(surety[0], surety[1:], saw[:, told], variant=variant)
    result = membership_result(scores, members[told], false_positives=FALSE_POSITIVES)
    return MembershipRecord(
        result.true_positives,
        result.auc,
        variant,
        len(folders),
        result.num_members,
        result.num_others,
        float(right[members].mean()),
        float(right[~members].mean()),
        **_spent(checkpoint),
    )


def _some(split: datasets.Dataset, seed: int) -> datasets.Dataset:
    return split.shuffle(seed=seed).select(range(min(len(split), MOST_ROWS)))


def _row_names(split: datasets.Dataset) -> Iterator[str]:
    from datasets import Image

    for row in split.select_columns("image").cast_column("image", Image(decode=False)):
        yield row_name(row["image"]["bytes"])


def _logits(checkpoint: str, rows: list[datasets.Dataset], classes: list[str]) -> np.ndarray:
    """Logits (rows, classes) in the dataset's order of classes."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    known = model.config.label2id
    if set(known) != set(classes):
        raise InputValueError(
            f"--checkpoint: {checkpoint} tells {len(known)} classes, the dataset has others or another "
            f"number of them ({len(classes)}); name a classifier that was trained on this dataset."
        )
    order = [known[name] for name in classes]
    found = []
    with torch.inference_mode():
        for split in rows:
            for batch in split.select_columns("image").iter(_BATCH):
                inputs = processor(batch["image"], return_tensors="pt")
                found.append(model(**inputs).logits[:, order].float().numpy())
    return np.concatenate(found)


def _spent(checkpoint: str) -> dict[str, float]:
    """What the card says that a private training spent."""
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import EntryNotFoundError

    place = Path(checkpoint)
    if place.is_dir() and not (place / CARD_FILE).is_file():
        return {}
    try:
        card = ModelCard.load(place / CARD_FILE if place.is_dir() else checkpoint)
    except EntryNotFoundError:
        return {}
    told = card.data.to_dict().get("differential_privacy") or {}
    return {name: float(told[name]) for name in ("epsilon", "delta") if name in told}
