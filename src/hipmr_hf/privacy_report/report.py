"""Run an audit from images to an `AuditReport`."""

import dataclasses
import datetime
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..encryption.base import Encryption
from ..errors import InputValueError, check_extra
from ..images.reading import read_image
from .bench import Effort, at_fixed_size, blind_effort, described, effort_of, set_up
from .blind import attack_blindly
from .controls import Control, run_controls
from .grade import grade, passed, withstood
from .people import PeoplesTerms
from .progress import Progress
from .results import AuditReport, SettingsAudit
from .sample import AuditSample, draw_sample
from .sheets import blind_sheet, measured_sheet
from .suite import ATTACKERS, run_suite

_SHEET_ROWS, _SHEET_ROWS_OF_MANY, _MANY = 4, 2, 3


class _Clock:
    """Wall-clock and processor time since it was made, and when it is asked."""

    def __init__(self):
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def stopped(self) -> dict[str, Any]:
        """Give the fields of an `AuditReport` that tell of time."""
        return {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "wall_seconds": time.monotonic() - self._wall,
            "cpu_seconds": time.process_time() - self._cpu,
        }


@dataclasses.dataclass(frozen=True)
class _Run:
    """What stays the same for all settings of an audit."""

    sample: AuditSample
    effort: Effort
    seed: int
    progress: Progress
    sheet_rows: int
    people: PeoplesTerms


def privacy_report(
    images: Sequence[np.ndarray | Image.Image],
    settings: Encryption | Sequence[Encryption],
    *,
    labels: Sequence[Any] | None = None,
    attacker_images: Sequence[np.ndarray | Image.Image] | None = None,
    effort: str | Effort = "quick",
    num_images: int | None = None,
    backbone: str | Path | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> AuditReport:
    """Encrypt a sample of images, attack it with everything there is, and measure what came back.

    Args:
        images: plain pictures, at least 2; more than the effort needs are sampled. Arrays as `read_image`
            takes them.
        settings: one encryption or several.
        labels: what each image shows, or whom; with them subjects are linked.
        attacker_images: other pictures that trained attackers learn from; by default the images that are not
            attacked.
        effort: "quick", "full" or an `Effort`.
        num_images: images that are attacked one by one; the effort's own number by default.
        backbone: folder of a checkpoint of transformers, such as DINOv2, by which scenes are retrieved.
        seed: of sample, searches and trainings; permutations always come from the operating system.
        show_progress: draw a bar on the standard error, where that is a terminal.

    Returns:
        The report. Where its controls failed it is not `valid`, and its grades say so.

    Raises:
        ValueError: too few images, labels of another number, an unknown effort, no settings.
        ImageReadingError: a picture that cannot be read.
        FileNotFoundError: there is no checkpoint in `backbone`.
        MissingExtraError: this effort needs a library that is not installed.

    Example:
        >>> from sklearn.datasets import load_sample_image
        >>> from hipmr_hf import RandomShuffling
        >>> photos = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
        >>> tiny = dataclasses.replace(effort_of("quick"), steps=500, rounds=1)
        >>> report = privacy_report(photos, RandomShuffling(image_size=112, patch_size=28), effort=tiny)
        >>> report.settings[0].grade.letter
        'F'
    """
    clock, effort = _Clock(), effort_of(effort, num_images)
    if effort.training_seconds or effort.gradient_steps:
        check_extra(f"{effort.name} effort", "audit,torch", "torch", "transformers")
    settings = [settings] if isinstance(settings, Encryption) else list(settings)
    if not settings:
        raise InputValueError("settings: got none, expected one encryption or more.")
    people = PeoplesTerms.here(backbone, seed)
    others = None if attacker_images is None else [read_image(image) for image in attacker_images]
    plain = [read_image(image) for image in images]
    sample = draw_sample(plain, labels, others, effort=effort, seed=seed)
    fixed = [at_fixed_size(encryption, sample.attacked) for encryption in settings]
    with Progress(len(fixed) * (len(ATTACKERS) + 1) + 1, show=show_progress) as progress:
        rows = _SHEET_ROWS_OF_MANY if len(settings) > _MANY else _SHEET_ROWS
        run = _Run(sample, effort, seed, progress, rows, people)
        controls = _controls(fixed, run)
        outcome = {"valid": passed(controls), "hard": withstood(controls)}
        audits = [_audit(*both, run, **outcome) for both in zip(settings, fixed, strict=True)]
    return AuditReport(audits, controls, sample.described(), effort, seed, measured=True, **clock.stopped())


def encrypted_report(
    images: Sequence[np.ndarray | Image.Image],
    encryption: Encryption,
    *,
    effort: str | Effort = "quick",
    num_images: int | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> AuditReport:
    """Attack encrypted images whose plain originals are not at hand: pictures, and nothing is measured.

    Args:
        images: as encrypted.
        encryption: their settings.
        effort, num_images, seed, show_progress: as in `privacy_report`; by default few images are attacked.

    Raises:
        ValueError: no images, or images that are not of these settings.

    Example:
        >>> from hipmr_hf import MixingUp
        >>> mixed = MixingUp(patch_size=16)(np.full((64, 64, 3), 9, np.uint8))
        >>> report = encrypted_report([mixed], MixingUp(patch_size=16))
        >>> report.measured, [record.attack for record in report.settings[0].records]
        (False, ['mixing_inversion'])
    """
    clock, effort = _Clock(), blind_effort(effort, num_images)
    if not len(images):
        raise InputValueError("images: got none, expected one or more encrypted images.")
    chosen = np.random.default_rng(seed).permutation(len(images))[: effort.images]
    encrypted = [read_image(images[number]) for number in sorted(chosen)]
    with Progress(len(encrypted), show=show_progress) as progress:
        records, left_out = attack_blindly(encrypted, encryption, effort, seed, progress)
    sheet, spent = blind_sheet(encrypted, records), clock.stopped()
    audit = SettingsAudit(encryption, encryption, records, left_out, None, sheet, spent["cpu_seconds"])
    counts = {
        "attacked": len(encrypted),
        "source": "encrypted images; their plain originals were not at hand",
    }
    return AuditReport([audit], [], counts, effort, seed, measured=False, **spent)


def _controls(settings: Sequence[Encryption], run: _Run) -> list[Control]:
    """Run the controls once for each size of images."""
    run.progress.start("easy puzzles and noise")
    sizes = {encryption.image_size: encryption for encryption in settings}
    others = run.sample.not_attacked
    return [
        control
        for encryption in sizes.values()
        for control in run_controls(
            encryption, run.sample.attacked, others=others, effort=run.effort, seed=run.seed
        )
    ]


def _audit(asked: Encryption, encryption: Encryption, run: _Run, **outcome: bool) -> SettingsAudit:
    started, sample = time.process_time(), run.sample
    bench = set_up(
        encryption,
        sample.candidates,
        sample.labels,
        sample.attacker_images,
        effort=dataclasses.replace(run.effort, images=len(sample.attacked)),
        seed=run.seed,
        inside=run.progress.inside,
    )
    records, left_out = run_suite(
        bench, lambda title: run.progress.start(f"{described(encryption)}: {title}")
    )
    run.progress.start(f"{described(encryption)}: faces, words, scenes")
    recognised, not_looked_for = run.people.recognise(bench, records)
    records, left_out = [*records, *recognised], {**left_out, **not_looked_for}
    sheet = measured_sheet(bench, records, run.sheet_rows)
    spent, grades = time.process_time() - started, grade(records, run.effort, **outcome)
    return SettingsAudit(encryption, asked, records, left_out, grades, sheet, spent)
