"""Tell which pictures a model was trained on, from its logits and those of shadow models.

A shadow model is trained as the attacked one was, on pictures of which the attacker knows which are in.
Where it is more confident about a picture that it saw, so is the attacked model: for each picture, the
likelihood of the attacked model's confidence among shadow models that saw it is held against that among those
that did not.

Source: Carlini et al., Membership inference attacks from first principles, IEEE S&P 2022 (LiRA).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from ..errors import InputValueError

Variant = Literal["online", "offline"]
Spread = Literal["record", "shared"]

MANY_SHADOWS = 64
"""From so many shadow models on, each record has a spread of its own, as in the paper's section VI."""
FALSE_POSITIVES = (0.001, 0.01)
_SMALLEST_SPREAD = 1e-6


class MembershipResult(NamedTuple):
    """How well members were told from others."""

    auc: float
    """Area under the ROC curve; guessing gives .5."""
    true_positives: dict[float, float]
    """Share of members that are found, by the share of others that are taken for members; guessing gives the
    same share of both."""
    false_positive_rates: np.ndarray
    """(thresholds,) of the ROC curve, from 0 to 1."""
    true_positive_rates: np.ndarray
    """(thresholds,) of the ROC curve, from 0 to 1."""
    num_members: int
    num_others: int
    """One over this is the smallest share of false positives that means anything."""


def confidence(logits: np.ndarray, labels: np.ndarray, *, queries: bool = False) -> np.ndarray:
    """Turn logits into log odds of the true class, which are nearly normal over models.

    Args:
        logits: (..., records, classes), or (..., records, queries, classes).
        labels: (records,) whole numbers.
        queries: the logits are of several views of each record.

    Returns:
        float64 (..., records) or (..., records, queries): log(p / (1 - p)), worked out without loss where p
        is nearly 1.

    Raises:
        InputValueError: the labels do not fit the logits, or logits that are no numbers.

    Example:
        >>> confidence(np.log([[0.8, 0.1, 0.1]]), np.array([0])).round(3)  # log(.8 / .2)
        array([1.386])
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    axis = 3 if queries else 2
    if labels.ndim != 1 or logits.ndim < axis or len(labels) != logits.shape[-axis]:
        shape = "(..., records, queries, classes)" if queries else "(..., records, classes)"
        raise InputValueError(
            f"labels: got the shape {labels.shape} for logits of {logits.shape}; expected a label for each "
            f"record of {shape}."
        )
    if not np.isfinite(logits).all():
        raise InputValueError("logits: some are not finite; leave out the models that diverged.")
    labels = labels[:, None] if queries else labels
    classes = np.arange(logits.shape[-1])
    true = labels[..., None] == classes
    if not true.any(-1).all():
        raise InputValueError(f"labels: expected classes from 0 to {len(classes) - 1} for these logits.")
    own = np.where(true, logits, 0).sum(-1)
    return own - _log_sum_exp(np.where(true, -np.inf, logits))


def likelihood_ratio(
    target: np.ndarray,
    shadows: np.ndarray,
    members: np.ndarray,
    *,
    variant: Variant = "online",
    spread: Spread | None = None,
) -> np.ndarray:
    """Score for each record how likely it is that the attacked model saw it.

    Args:
        target: (records,) or (records, queries) confidences of the attacked model.
        shadows: (models, records) or (models, records, queries) confidences of the shadow models.
        members: bool (models, records): which records each shadow model saw.
        variant: "online" compares with models that saw the record and with models that did not; "offline"
            only with those that did not, so that they can be trained before the record is known.
        spread: "record" fits a variance to each record; "shared" one for all, which few models need. None
            takes "record" from `MANY_SHADOWS` models on.

    Returns:
        float64 (records,), high for members. Scores of several queries are averaged.

    Raises:
        InputValueError: shapes that do not fit, an unknown variant or spread, or a record that all shadow
            models saw (or, online, that none did; with a variance for each record, fewer than two).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> members = rng.random((16, 100)) < 0.5
        >>> shadows = rng.normal(4.0 * members)  # models are surer of what they saw
        >>> was_seen = rng.random(100) < 0.5
        >>> scores = likelihood_ratio(rng.normal(4.0 * was_seen), shadows, members)
        >>> membership_result(scores, was_seen).auc > 0.95
        True
    """
    target, shadows, members = _checked(target, shadows, members)
    if variant not in ("online", "offline"):
        raise InputValueError(f"variant: got {variant!r}, expected 'online' or 'offline'.")
    if spread not in (None, "record", "shared"):
        raise InputValueError(f"spread: got {spread!r}, expected 'record', 'shared' or None.")
    spread = spread or ("record" if len(shadows) >= MANY_SHADOWS else "shared")
    out = _Normal.fitted(shadows, ~members, spread, "did not see it")
    if variant == "offline":  # P(Z <= confidence) for Z as without the record, in order of its argument
        return ((target - out.mean) / out.deviation).mean(-1)
    seen = _Normal.fitted(shadows, members, spread, "saw it")
    return (seen.log_density(target) - out.log_density(target)).mean(-1)


def every_model_in_turn(
    confidences: np.ndarray,
    members: np.ndarray,
    *,
    variant: Variant = "online",
    spread: Spread | None = None,
) -> Iterator[np.ndarray]:
    """Attack each of several models, with the others as its shadow models.

    Args:
        confidences: (models, records) or (models, records, queries); at least three models.
        members: bool (models, records).
        variant, spread: as in `likelihood_ratio`.

    Yields:
        float64 (records,) scores of each model.

    Raises:
        InputValueError: as `likelihood_ratio`.
    """
    for number in range(len(confidences)):
        others = np.arange(len(confidences)) != number
        yield likelihood_ratio(
            confidences[number], confidences[others], members[others], variant=variant, spread=spread
        )


def membership_result(
    scores: np.ndarray, members: np.ndarray, *, false_positives: tuple[float, ...] = FALSE_POSITIVES
) -> MembershipResult:
    """Measure scores against the truth.

    Args:
        scores: (records,), high for members; not a number counts as the lowest.
        members: bool (records,).
        false_positives: shares, above 0 and up to 1, at which true positives are told.

    Raises:
        InputValueError: shapes that do not fit, or records that are all members, or none.

    Example:
        >>> result = membership_result(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, True, False, False]))
        >>> result.auc, result.true_positives
        (1.0, {0.001: 1.0, 0.01: 1.0})
    """
    scores, members = np.asarray(scores, np.float64), np.asarray(members, bool)
    if scores.shape != members.shape or scores.ndim != 1:
        raise InputValueError(
            f"members: got the shape {members.shape}, expected scores' own, {scores.shape}."
        )
    if members.all() or not members.any():
        raise InputValueError("members: expected some records that are members, and some that are not.")
    scores = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(scores[order][1:] != scores[order][:-1], True)
    found, taken = np.cumsum(members[order])[last_of_equals], np.cumsum(~members[order])[last_of_equals]
    true_rates = np.append(0, found) / members.sum()
    false_rates = np.append(0, taken) / (~members).sum()
    area = float(np.sum(np.diff(false_rates) * (true_rates[1:] + true_rates[:-1]) / 2))
    rates = {share: float(true_rates[false_rates <= share].max()) for share in false_positives}
    return MembershipResult(area, rates, false_rates, true_rates, int(members.sum()), int((~members).sum()))


class _Normal(NamedTuple):
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fitted(cls, values: np.ndarray, chosen: np.ndarray, spread: Spread, which: str) -> _Normal:
        """Fit normals over the chosen models: one for each of (records, queries)."""
        counts = chosen.sum(0)
        needed = 2 if spread == "record" else 1
        if counts.min() < needed:
            raise InputValueError(
                f"members: of record {int(counts.argmin())}, {int(counts.min())} shadow models {which}, "
                f"expected at least {needed}; train more of them, deal each record to half of them, or "
                "leave the record out."
            )
        weights, counts = chosen[..., None], counts[:, None]
        mean = (values * weights).sum(0) / counts
        squares = (np.square(values - mean) * weights).sum(0)
        if spread == "record":
            variance = squares / (counts - 1)
        else:
            freedom = np.maximum((counts - 1).sum(), 1)  # each record's own mean takes one
            variance = np.broadcast_to(squares.sum(0) / freedom, mean.shape)
        return cls(mean, np.maximum(np.sqrt(variance), _SMALLEST_SPREAD))

    def log_density(self, values: np.ndarray) -> np.ndarray:
        return -np.square((values - self.mean) / self.deviation) / 2 - np.log(self.deviation)


def _checked(
    target: np.ndarray, shadows: np.ndarray, members: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check shapes; give every array its queries: (records, queries), (models, records, queries)."""
    target, shadows = np.asarray(target, np.float64), np.asarray(shadows, np.float64)
    members = np.asarray(members)
    if members.dtype != bool:
        raise InputValueError(f"members: got the type {members.dtype}, expected bool.")
    fits = target.ndim in (1, 2) and shadows.shape[1:] == target.shape
    if not fits or members.shape != shadows.shape[:2]:
        raise InputValueError(
            f"target, shadows, members: got the shapes {target.shape}, {shadows.shape} and {members.shape}, "
            "expected (records,), (models, records) and (models, records), the first two with queries behind."
        )
    return (target[:, None], shadows[..., None], members) if target.ndim == 1 else (target, shadows, members)


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    highest = values.max(-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0)
    return np.log(np.exp(values - highest).sum(-1)) + highest[..., 0]
