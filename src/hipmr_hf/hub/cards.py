"""Cards that say how images were encrypted, what was measured, and what is not protected."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from ..column_types.features import Features
from ..encryption.weaknesses import weaknesses
from ..errors import InputValueError
from ..layout import DATA_FOLDER, MASK_COLUMN, split_of
from . import escaping
from .audit_section import AuditRow, audit_rows, audit_section
from .card_blocks import filled
from .card_metrics import shown_metrics, written
from .card_renewal import BEGIN, END
from .column_words import columns_in_words
from .folder_facts import content_id, image_format
from .limits import what_is_not_protected, what_viewers_see
from .preset_figures import preset_sentence
from .privacy_section import PrivacyFacts, privacy_section

if TYPE_CHECKING:
    from huggingface_hub import DatasetCard, ModelCard, ModelCardData

    from ..encryption.base import Encryption

_TEMPLATES = Path(__file__).parent / "templates"
_TAGS = ["hipmr-hf", "perceptual-encryption"]
_CITATION = """@article{hao2023human,
  title   = {Human-imperceptible, Machine-recognizable Images},
  author  = {Hao, Fusheng and others},
  journal = {arXiv preprint arXiv:2306.03679},
  year    = {2023}
}"""
_METHODS = {
    "rs": "**Random shuffling (RS)**: the patches of each image in a random order of its own.",
    "rs+mi": "**Random shuffling of mixed patches (RS+MI)**: each patch becomes the mean of its sub-patches, "
    "and the patches of each image stand in a random order of their own.",
    "mi": "**Mixing-up (MI)**: each patch becomes the mean of its sub-patches and keeps its place.",
}
_AUTO_CLASSES = {
    "image-classification": "AutoModelForImageClassification",
    "object-detection": "AutoModelForObjectDetection",
    "image-segmentation": "AutoModelForSemanticSegmentation",
    "image-feature-extraction": "AutoModel",
}
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """What a dataset card tells.

    Args:
        repo_id: where it is, or will be, on the Hub.
        encryption: its settings.
        splits: rows of each split.
        columns: type of each column, in words.
        key_id: id of the key, if one was used; it is no secret, and tells a wrong key at once.
        image_format: "png", "jpeg" or "webp".
        license: an identifier of the Hub's list.
        content_id: changes with the rows, so that caches of loaders know them.
        gated_prompt: what people must agree to before they get access.
        audit: attacks that were tried on it.
    """

    repo_id: str
    encryption: Encryption
    splits: Mapping[str, int]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    key_id: str | None = None
    image_format: str | None = None
    license: str | None = None
    content_id: str | None = None
    gated_prompt: str | None = None
    audit: Sequence[AuditRow] = ()


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What a model card tells.

    Args:
        repo_id: where it is, or will be, on the Hub.
        encryption: settings of the images it was trained on.
        task: "image-classification", "object-detection", "image-segmentation", or, for a model without a
            head, "image-feature-extraction".
        metrics: measured values by name; a prefix "eval_" is dropped, and what is no metric is left out.
        baselines: measured values of what it is compared with, by description.
        dataset_name: the encrypted dataset, if it is on the Hub.
        evaluated_on: the images behind the values, such as "the 1,500 images of the split test".
        training_command: as from `shareable_command.shareable_command`.
        base_model: the checkpoint it started from, if it is on the Hub.
        adapted_on: public pictures, seen plain by its teacher, that its features were adapted on without
            labels; its classifier is new then.
        num_parameters: of the model.
        license: an identifier of the Hub's list.
        audit: attacks that were tried on the images.
        privacy: what its training spent, where it was differentially private.
    """

    repo_id: str
    encryption: Encryption
    task: str = "image-classification"
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    dataset_name: str | None = None
    evaluated_on: str | None = None
    training_command: str | None = None
    base_model: str | None = None
    adapted_on: int | None = None
    num_parameters: int | None = None
    license: str | None = None
    audit: Sequence[AuditRow] = ()
    privacy: PrivacyFacts | None = None


def dataset_card(facts: DatasetFacts) -> DatasetCard:
    """Render the card of an encrypted dataset.

    Example:

        >>> from hipmr_hf import MixingUp
        >>> card = dataset_card(DatasetFacts("me/scans", MixingUp(), {"train": 120}))
        >>> card.data.size_categories, "What this does not protect" in card.text
        ('n<1K', True)
    """
    from huggingface_hub import DatasetCard

    return DatasetCard(text_of_dataset_card(facts))


def text_of_dataset_card(facts: DatasetFacts) -> str:
    """Render the same as text, for which `huggingface_hub` need not be loaded.

    Example:

        >>> from hipmr_hf import MixingUp
        >>> facts = DatasetFacts("me/scans", MixingUp(), {"train": 120})
        >>> text_of_dataset_card(facts) == str(dataset_card(facts))
        True
    """
    import yaml

    keyed = facts.key_id is not None
    metadata = yaml.dump(_dataset_metadata(facts), sort_keys=False, allow_unicode=True)
    return filled(
        (_TEMPLATES / "dataset_card.md").read_text(encoding="utf-8"),
        card_data=metadata.strip(),
        title=escaping.text(facts.repo_id.split("/")[-1]),
        repo_id=escaping.python_string(facts.repo_id),
        num_rows=f"{sum(facts.splits.values()):,}",
        splits={escaping.text(name): rows for name, rows in facts.splits.items()},
        columns=[(escaping.code(name), escaping.text(kind)) for name, kind in facts.columns.items()],
        image_format={"png": "PNG", "jpeg": "JPEG", "webp": "lossless WebP"}.get(facts.image_format),
        randomness=_randomness(facts.encryption, keyed),
        audit=audit_section(facts.audit) if facts.audit else None,
        **_shared(facts.encryption, keyed, masks=MASK_COLUMN in facts.columns),
    )


def card_of_folder(
    folder: Path,
    encryption: Encryption,
    *,
    repo_id: str,
    key_id: str | None = None,
    license: str | None = None,
) -> str:
    """Render the card of an encrypted dataset that lies in a folder, from what its shards hold, as text.

    Args:
        folder: as `save_encrypted_dataset` writes it.
        encryption, repo_id, key_id, license: as in `DatasetFacts`.
    """
    splits: dict[str, int] = {}
    shards = sorted((folder / DATA_FOLDER).iterdir())
    for path in shards:
        split = split_of(path.name)
        splits[split] = splits.get(split, 0) + pq.read_metadata(path).num_rows
    features = Features.from_arrow_schema(pq.read_schema(path))
    columns = columns_in_words(features)
    told = {"key_id": key_id, "image_format": image_format(path, features), "license": license}
    return text_of_dataset_card(
        DatasetFacts(repo_id, encryption, splits, columns, content_id=content_id(shards), **told)
    )


def model_card(facts: ModelFacts) -> ModelCard:
    """Render the card of a model that was trained on encrypted images.

    Raises:
        ValueError: the task has no model here.

    Example:

        >>> from hipmr_hf import RandomShuffling
        >>> card = model_card(ModelFacts("me/pevit", RandomShuffling(), metrics={"eval_accuracy": 0.913}))
        >>> card.data.eval_results[0].metric_value, "| this model | 0.913 |" in card.text
        (0.913, True)
    """
    if facts.task not in _AUTO_CLASSES:
        raise InputValueError(f"task: got {facts.task!r}, allowed are {', '.join(map(repr, _AUTO_CLASSES))}.")
    metrics = shown_metrics(facts.metrics)
    rows = {
        "this model": metrics,
        **{name: shown_metrics(values) for name, values in facts.baselines.items()},
    }
    results = [
        {"name": escaping.text(name), "cells": [written(values.get(metric)) for metric in metrics]}
        for name, values in rows.items()
    ]
    from huggingface_hub import ModelCard

    return ModelCard.from_template(
        _model_metadata(facts, metrics),
        template_path=_TEMPLATES / "model_card.md",
        title=escaping.text(facts.repo_id.split("/")[-1]),
        repo_id=escaping.python_string(facts.repo_id),
        description=_description(facts),
        auto_class=_AUTO_CLASSES[facts.task],
        metric_names=list(map(escaping.text, metrics)),
        results=results if metrics else [],
        evaluated_on=escaping.text(facts.evaluated_on) if facts.evaluated_on else None,
        training_command=escaping.block(facts.training_command, "bash") if facts.training_command else None,
        privacy=None if facts.privacy is None else privacy_section(facts.privacy),
        audit=audit_rows(facts.audit),
        **_shared(facts.encryption, keyed=False),
    )


def _dataset_metadata(facts: DatasetFacts) -> dict[str, Any]:
    tasks = {"label": "image-classification", "objects": "object-detection"}
    tasks[MASK_COLUMN] = "image-segmentation"
    files = [{"split": name, "path": f"data/{name}-*"} for name in facts.splits]
    config = {"config_name": "default", "data_files": files}
    several = facts.columns.get("label", "").startswith("any of")
    if "float" in facts.columns.get("label", ""):
        del tasks["label"]  # the Hub has no task for numbers of pictures
    if facts.content_id is not None:  # else `load_dataset` takes folders of one name and card for the same
        config["description"] = f"content {facts.content_id}"
    found = {
        "license": facts.license,
        "size_categories": _size_category(sum(facts.splits.values())),
        "task_categories": [task for column, task in tasks.items() if column in facts.columns] or None,
        "task_ids": ["multi-label-image-classification"] if several else None,
        "tags": list(_TAGS),
        "configs": [config],
        "encryption": _settings(facts.encryption) | ({"key_id": facts.key_id} if facts.key_id else {}),
        "extra_gated_prompt": facts.gated_prompt,
    }
    return {name: value for name, value in found.items() if value is not None}


def _model_metadata(facts: ModelFacts, metrics: Mapping[str, float]) -> ModelCardData:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=facts.task,
            dataset_type=facts.dataset_name or "encrypted-images",
            dataset_name=(facts.dataset_name or "encrypted images").split("/")[-1],
            metric_type="accuracy" if name.endswith("accuracy") else name,
            metric_name=name,
            metric_value=value,
        )
        for name, value in metrics.items()
    ]
    optional = {"license": facts.license, "base_model": facts.base_model, "datasets": facts.dataset_name}
    if facts.privacy is not None:
        optional["differential_privacy"] = {
            "epsilon": facts.privacy.epsilon,
            "delta": facts.privacy.delta,
        }
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=facts.task,
        tags=[*_TAGS, facts.task],
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=facts.repo_id.split("/")[-1] if results else None,
        eval_results=results or None,
        encryption=_settings(facts.encryption),
        **{name: value for name, value in optional.items() if value is not None},
    )


def _shared(encryption: Encryption, keyed: bool, *, masks: bool = False) -> dict[str, Any]:
    strategy = (
        "rs+mi" if encryption.strategy == "rs" and encryption.sub_patch_grid > 1 else encryption.strategy
    )
    return {
        "begin": BEGIN,
        "end": END,
        "method": _METHODS[strategy] + preset_sentence(encryption),
        "settings": _settings(encryption),
        "to_the_eye": what_viewers_see(encryption),
        "weaknesses": weaknesses(encryption),
        "limits": what_is_not_protected(encryption, keyed=keyed, masks=masks),
        "citation": _CITATION,
    }


def _settings(encryption: Encryption) -> dict[str, Any]:
    return {name: value for name, value in encryption.to_dict().items() if name != "format_version"}


def _randomness(encryption: Encryption, keyed: bool) -> str:
    if not encryption.draws_randomness:
        return "These settings draw no randomness."
    if keyed:
        return "The permutations come from a secret key and the nonce in each row; the key is not published."
    return "The permutations were drawn from the operating system's entropy and kept by nobody."


def _description(facts: ModelFacts) -> str:
    parameters = f" of {facts.num_parameters:,} parameters" if facts.num_parameters else ""
    data = start = ""
    if facts.dataset_name:
        data = f" from {escaping.link(facts.dataset_name, 'https://hf.co/datasets/')}"
    if facts.base_model:
        start = f", starting with {escaping.link(facts.base_model, 'https://hf.co/')}"
    if facts.adapted_on is not None:
        return (
            f"A vision transformer{parameters}{start}, whose features were adapted to perceptually encrypted "
            f"images with hipmr-hf: by {facts.adapted_on:,} public pictures without labels, which its "
            "teacher saw plain. Its use needs no plain image. It has no classifier yet: fine-tune it before "
            "you ask it for classes."
        )
    return (
        f"A vision transformer{parameters} for {facts.task.replace('-', ' ')}, trained with hipmr-hf on "
        f"perceptually encrypted images{data}{start}. "
        "Neither this training nor the model's use needs a plain image."
    )


def _size_category(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")
