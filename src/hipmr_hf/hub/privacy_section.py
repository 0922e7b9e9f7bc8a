"""The part of a model's card that tells how private its training was, and what that covers."""

from __future__ import annotations

import dataclasses

from . import escaping


@dataclasses.dataclass(frozen=True)
class PrivacyFacts:
    """What a training with differential privacy spent, and on what.

    Args:
        epsilon: as the accountant gives it for the steps that were taken.
        delta: that goes with it.
        noise_multiplier: standard deviation of the noise, in units of `max_grad_norm`.
        max_grad_norm: norm to which the gradient of each record was clipped.
        sampling_rate: probability of a record to take part in a step.
        steps: that were taken.
        records: how many there were.
        rows: of the training split; more than the records where a picture stands in several.
        picture_column: the column that tells which rows are one picture; None where every row counted as one
            record.
        accountant: "prv" or "rdp".
        from_checkpoint: the training started from weights that had been trained before.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    max_grad_norm: float
    sampling_rate: float
    steps: int
    records: int
    rows: int
    picture_column: str | None = None
    accountant: str = "prv"
    from_checkpoint: bool = False


def privacy_section(facts: PrivacyFacts) -> str:
    """Write the part in Markdown.

    Example:

        >>> facts = PrivacyFacts(7.99, 1e-5, 0.8, 1.0, 0.01, 500, 6000, 6000)
        >>> print(privacy_section(facts).splitlines()[2][:61])
        Trained by DP-SGD: for each **row**, the model is nearly the
    """
    grouped = facts.picture_column is not None
    record = "picture" if grouped else "row"
    lines = [
        "## Differential privacy",
        "",
        f"Trained by DP-SGD: for each **{record}**, the model is nearly the one that it would be without "
        f"that {record}, to within epsilon = {facts.epsilon:.4g} at delta = {facts.delta:.2g}.",
        "",
        "| | |",
        "|---|---|",
        f"| epsilon | {facts.epsilon:.4g} |",
        f"| delta | {facts.delta:.4g} |",
        f"| noise multiplier | {facts.noise_multiplier:.4g} |",
        f"| clipping norm | {facts.max_grad_norm:.4g} |",
        f"| sampling rate | {facts.sampling_rate:.4g} (Poisson sampling) |",
        f"| steps | {facts.steps:,} |",
        f"| one record | {_record(facts)} |",
        f"| records | {facts.records:,}, in {facts.rows:,} rows |",
        f"| accountant | {facts.accountant.upper()}, of Opacus |",
        "",
        *(f"- {sentence}" for sentence in _covered(facts)),
    ]
    return "\n".join(lines) + "\n"


def _record(facts: PrivacyFacts) -> str:
    if facts.picture_column is None:
        return "a row of the training split"
    column = escaping.code(facts.picture_column)
    return f"a picture, by the column {column}, with all of its rows; a step takes one of them at most"


def _covered(facts: PrivacyFacts) -> list[str]:
    said = [
        "It covers what this model tells of its training images, and nothing else: the encrypted images "
        "themselves, where they are published or shared, tell more. Their number and the names of the "
        "classes count as public, and the choice of this training's arguments is not paid for.",
        "Draws and noise came from the operating system's entropy through torch's generator, which is no "
        "cryptographic one.",
    ]
    if facts.picture_column is None:
        said.insert(
            0,
            "**The guarantee is for each row.** A picture that stands in k rows, such as one that was "
            "encrypted k times, has about k times this epsilon, or none worth the name.",
        )
    if facts.from_checkpoint:
        said.insert(1, "The checkpoint that it started from is not covered: what it had seen, it may tell.")
    return said
