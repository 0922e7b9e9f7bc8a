"""Three ways to train from given weights, with one budget: a linear probe, the last blocks, everything."""

import argparse
import copy
import math
import time

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from benchmarks.accuracy.pretrained_data import Pictures
from benchmarks.accuracy.pretrained_starts import SIDE, Model
from benchmarks.harness.settings import shuffling
from hipmr_hf import Encryption
from hipmr_hf.adaptation.distillation import features_of, normalised
from hipmr_hf.models import PEViTForImageClassification
from hipmr_hf.training.accelerate_loop import parameter_groups
from hipmr_hf.training.augmentation import EncryptedAugmentation
from hipmr_hf.training.classification import classification_loss
from hipmr_hf.training.layer_rates import decay_rates_by_layer

WAYS = {"probe": "linear probe", "partial": "last blocks", "full": "everything"}
LAST_SHARE = 1 / 4  # of the blocks, which partial fine-tuning trains
CHUNK, WARM_UP, SMOOTHING, DECAY = 50, 0.1, 0.1, 0.05


class Inputs:
    """Pictures as a model sees them, each encrypted once, as a dataset is.

    Args:
        model: with its processor.
        encryption: settings; None leaves the pictures plain.
        pictures: of any size, and their classes.
    """

    def __init__(self, model: Model, encryption: Encryption | None, pictures: Pictures):
        plain = shuffling(image_size=SIDE, patch_size=16)
        prepared = np.stack([plain.prepare(image) for image in pictures[0]])
        seen = prepared if encryption is None else encryption.encrypt_batch(prepared)
        self.pixels = torch.stack([normalised(Image.fromarray(image), model[1]) for image in seen])
        self.labels = torch.from_numpy(pictures[1])

    @torch.no_grad()
    def through(self, asked) -> torch.Tensor:
        """What a function of pixel values says of all pictures, in rows."""
        return torch.cat([asked(part) for part in self.pixels.split(CHUNK)])


def score(answers: np.ndarray, truth: np.ndarray, data: str) -> float:
    """Share told rightly; of cells, most of which are red, the mean of the classes' shares."""
    return float(balanced_accuracy_score(truth, answers) if data == "cells" else (answers == truth).mean())


def probe(features: dict[str, torch.Tensor], parts: dict[str, Inputs], data: str) -> float:
    """Score of a logistic regression on standardised features: class token beside the patches' mean."""
    scaler = StandardScaler().fit(features["train"])
    fitted = LogisticRegression(C=0.01, max_iter=500)
    fitted.fit(scaler.transform(features["train"]), parts["train"].labels)
    return score(fitted.predict(scaler.transform(features["test"])), parts["test"].labels.numpy(), data)


def start_head(model: PEViTForImageClassification, tokens: torch.Tensor, labels: torch.Tensor) -> None:
    """Set the classifier to a logistic regression on the class token, so that training goes on from it.

    Source: Kumar et al., Fine-tuning can distort pretrained features, 2022.
    """
    scaler = StandardScaler().fit(tokens)
    fitted = LogisticRegression(C=0.01, max_iter=500).fit(scaler.transform(tokens), labels)
    weight = fitted.coef_ / scaler.scale_
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(weight))
        model.classifier.bias.copy_(torch.from_numpy(fitted.intercept_ - weight @ scaler.mean_))


def fine_tune(
    args: argparse.Namespace,
    model: PEViTForImageClassification,
    encryption: Encryption | None,
    parts: dict[str, Inputs],
    way: str,
    seed: int,
    *,
    rate: float,
    layer_decay: float,
) -> dict:
    """Train a copy of a model whose head is set, and return its scores after each epoch.

    Args:
        args: of `pretrained.py`: epochs, batch size, data, bf16.
        model: left as it is.
        encryption: tells how its pictures are turned in training.
        parts: "train" and "test".
        way: "partial" trains the last quarter of the blocks and what follows, "full" everything.
        seed: of order and turns.
        rate, layer_decay: of the head, and of each block by that of the next.
    """
    started = time.process_time()
    torch.manual_seed(seed)
    model = copy.deepcopy(model)
    if way == "partial":
        blocks = model.pevit.layers
        model.pevit.embeddings.requires_grad_(False)
        blocks[: round(len(blocks) * (1 - LAST_SHARE))].requires_grad_(False)
    train, count = parts["train"], model.config.num_labels
    whole = encryption is None or encryption.strategy == "mi"  # turned as a whole, not patch by patch
    augment = EncryptedAugmentation(
        count,
        turns="symmetries",
        patch_size=None if whole else encryption.encrypted_patch_size,
        label_smoothing=SMOOTHING,
    )
    steps = args.epochs * math.ceil(len(train.labels) / args.batch_size)
    optimizer = torch.optim.AdamW(parameter_groups(model, DECAY), rate)
    decay_rates_by_layer(optimizer, model, layer_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, max(steps, 2), pct_start=WARM_UP)
    curve = []
    for _ in range(args.epochs):
        model.train()
        for rows in torch.randperm(len(train.labels)).split(args.batch_size):
            batch = augment({"pixel_values": train.pixels[rows], "labels": train.labels[rows]})
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                loss, _ = classification_loss(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        answers = parts["test"].through(lambda part: model.eval()(pixel_values=part).logits.argmax(1))
        curve.append(score(answers.numpy(), parts["test"].labels.numpy(), args.data))
    return {"curve": curve, "cpu_seconds": round(time.process_time() - started)}


def features(model: Model, part: Inputs) -> torch.Tensor:
    """Class token beside the patches' mean, (pictures, 2 * hidden_size)."""
    return part.through(lambda pixels: features_of(model[0].pevit.eval(), pixels))
