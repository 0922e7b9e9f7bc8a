"""`hipmr audit`: what attackers get back from images under given settings."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InputValueError, MissingFileError, check_extra
from .settings_arguments import add_settings, given_settings, settings_from

if TYPE_CHECKING:
    from ..encryption.base import Encryption
    from ..privacy_report.membership import MembershipRecord
    from ..privacy_report.results import AuditReport, SettingsAudit

EPILOG = """\
examples:
  hipmr audit my_pictures --output-dir report
  hipmr audit my_pictures --card encrypted --output-dir report
  hipmr audit my_pictures --preset strongest --output-dir report
  hipmr audit my_pictures --sweep --effort full --output-dir report
  hipmr audit encrypted --checkpoint pevit --shadows shadows --output-dir report

More: docs/audit.md"""

_INVALID = 3
_PLAIN_ONLY = ("attacker-images", "card", "backbone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr audit` takes."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="Plain images, as for `hipmr encrypt`: they are encrypted, attacked and compared. Or an "
        "encrypted dataset, folder or repository: it is attacked, and nothing can be measured.",
    )
    parser.add_argument("--output-dir", metavar="DIR", help="New folder for the report.")
    _add_effort(parser.add_argument_group("effort"))
    settings = parser.add_argument_group(
        "encryption", "Default: --preset classification, as `hipmr encrypt` takes it."
    )
    settings.add_argument(
        "--settings",
        metavar="PATH",
        action="append",
        default=[],
        help="An encryption_config.json, or a folder with one; several times for several settings.",
    )
    settings.add_argument(
        "--sweep",
        action="store_true",
        help="Compare eight settings, from the paper's own to the strongest; with --image-size and "
        "--patch-size.",
    )
    add_settings(settings)
    _add_data(parser.add_argument_group("data"))
    _add_checkpoints(parser.add_argument_group("trained models"))
    _add_moved(parser)


def _add_effort(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--effort",
        choices=("quick", "full"),
        default="quick",
        help="quick: at most two minutes of one core for each setting at 224 pixels, no trained attackers; "
        "full: all of them, many minutes for each setting. Default: quick.",
    )
    group.add_argument(
        "--num-images", type=int, metavar="N", help="Images to attack. Default: 6, full: 12, encrypted: 4."
    )
    group.add_argument(
        "--backbone",
        metavar="DIR",
        help="A checkpoint of transformers, such as DINOv2: scenes are retrieved by its features. Faces and "
        "words are looked for where the extra recognisers is installed.",
    )
    group.add_argument("--seed", type=int, default=0, help="Of sample, searches and trainings. Default: 0.")
    group.add_argument(
        "--attacker-images",
        metavar="SOURCE",
        help="Other pictures of the kind of yours (documents, faces, satellite tiles ...) that attackers are "
        "fitted on and learn from. Default: those of your own that are not attacked.",
    )


def _add_data(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--config-name", metavar="NAME", help="Which configuration of a Hub dataset.")
    group.add_argument("--image-column", default="image", metavar="NAME", help="Default: image.")
    group.add_argument(
        "--label-column",
        metavar="NAME",
        help="What, or whom, an image shows: attackers try to link it. Default: label, if there is one.",
    )
    group.add_argument(
        "--card",
        metavar="DIR",
        help="An encrypted dataset: take its settings, and write the summary into its card.",
    )


def _add_checkpoints(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--checkpoint",
        metavar="PATH_OR_REPO",
        action="append",
        default=[],
        help="A classifier that was trained on the encrypted dataset (SOURCE, or --card): does it tell its "
        "training rows? Several times for several, such as with and without differential privacy.",
    )
    group.add_argument(
        "--shadows",
        metavar="DIR",
        action="append",
        default=[],
        help="Folder of shadow models of that checkpoint, as examples/train_shadow_models.py makes them; one "
        "for each --checkpoint, in order.",
    )
    group.add_argument("--train-split", default="train", metavar="NAME", help="Members. Default: train.")
    group.add_argument("--eval-split", default="test", metavar="NAME", help="Others. Default: test.")


def _add_moved(parser: argparse.ArgumentParser) -> None:
    """Know the flags of the search for leaks, which has become a command, so as to say where it went."""
    parser.add_argument("--leaks", action="append_const", const="", help=argparse.SUPPRESS)
    for flag in ("--key-file", "--repo-type"):
        parser.add_argument(flag, action="append", dest="leaks", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Print what was found; 3 if the audit is invalid."""
    if options.leaks is not None:
        raise InputValueError(
            "--leaks: the search for leaks is a command of its own; type hipmr leaks PATH_OR_REPO."
        )
    check_extra("hipmr audit", "audit", "numba", "scipy", "sklearn")
    from pathlib import Path

    from ..files import check_is_free

    if options.output_dir is None:
        raise InputValueError("--output-dir: got none; name a new folder for the report.")
    check_is_free(Path(options.output_dir))
    encryption = _settings_of_encrypted(options.source)
    membership = _audit_checkpoints(options, encrypted=encryption is not None)
    report = _audit_plain(options) if encryption is None else _audit_encrypted(options, encryption)
    report = report.with_membership(membership)
    folder = report.save(options.output_dir)
    print(*(f"Membership: {record.sentence}" for record in membership), sep="\n", end="\n" * bool(membership))
    print(*(line for audit in report.settings for line in _told(audit)), sep="\n")
    if report.measured and not report.effort.training_seconds:
        print("No attacker was trained, and those find more: --effort full.")
    print(f"Report: {folder / 'report.html'}")
    if not report.valid:
        print("The audit is INVALID: its own controls failed, so its figures say nothing about privacy.")
        return _INVALID
    if options.card is not None:
        from ..privacy_report.card import update_card

        print(f"Card: {update_card(report, options.card)}")
    return 0


def _audit_checkpoints(options: argparse.Namespace, *, encrypted: bool) -> "list[MembershipRecord]":
    if len(options.checkpoint) != len(options.shadows):
        raise InputValueError(
            f"--checkpoint: got {len(options.checkpoint)}, and {len(options.shadows)} times --shadows; each "
            "checkpoint needs shadow models of its own, which examples/train_shadow_models.py trains."
        )
    if not options.checkpoint:
        return []
    dataset = options.source[0] if encrypted else options.card
    if dataset is None:
        raise InputValueError(
            "--checkpoint: rows of the encrypted dataset are asked about; give it as SOURCE, or with --card."
        )
    check_extra("--checkpoint", "torch", "torch", "transformers")
    from ..privacy_report.membership import audit_checkpoint

    splits = {"train_split": options.train_split, "eval_split": options.eval_split}
    label = options.label_column or "label"
    return [
        audit_checkpoint(*pair, dataset, label_column=label, seed=options.seed, **splits)
        for pair in zip(options.checkpoint, options.shadows, strict=True)
    ]


def _told(audit: "SettingsAudit") -> list[str]:
    """What the terminal says about one setting: the grade, the largest leak, every attacker, what to do."""
    if audit.grade is None:
        return [
            f"{audit.name}: nothing can be measured without the plain images.",
            *(f"  - {record.title}: {record.n} pictures, for your own eyes" for record in audit.records),
            *(f"  - not tried: {name}, for {reason}" for name, reason in audit.left_out.items()),
            f"  What is known of such settings: {audit.known}",
            f"  {audit.advice}",
        ]
    from ..privacy_report.card import not_looked_for

    leak, unseen = audit.largest_leak, not_looked_for(audit)
    return [
        f"{audit.name}: grade {audit.grade.letter} (A to F; F: the picture is back)",
        f"  Largest leak: {leak or 'none beyond twice chance'}",
        *[f"  Why the grade: {audit.grade.reason}"] * (audit.grade.reason != leak),
        *(f"  - {words}" for words in audit.sentences if words not in (leak, audit.grade.reason)),
        *[f"  Not looked for: {unseen}"] * bool(unseen),
        f"  {audit.advice}",
    ]


def _audit_plain(options: argparse.Namespace) -> "AuditReport":
    from ..privacy_report.bench import effort_of
    from ..privacy_report.report import privacy_report
    from ..privacy_report.sample import FITTED_ON
    from ..privacy_report.sources import sample_pictures

    effort = effort_of(options.effort, options.num_images)
    if options.backbone is not None:
        from ..recognisers.scenes import check_backbone

        check_backbone(options.backbone)
    settings = _settings(options)
    columns = {"image_column": options.image_column, "label_column": options.label_column}
    own = options.attacker_images is None
    count = effort.candidates + (effort.attacker_images if own else 0)
    pictures = sample_pictures(
        options.source, count, config_name=options.config_name, seed=options.seed, **columns
    )
    if pictures.num_refused:
        print(f"Left out, because they cannot be read: {pictures.num_refused} of the sampled pictures.")
    most = len(pictures.images)
    print(
        f"Attacking {min(effort.images, most)} of {pictures.num_rows:,} pictures, drawn at random "
        f"(seed {options.seed}); they are looked for among {min(effort.candidates, most)}."
    )
    others = None
    if not own:
        wanted = max(effort.attacker_images, FITTED_ON)
        others = sample_pictures([options.attacker_images], wanted, seed=options.seed).images
    return privacy_report(
        pictures.images,
        settings,
        labels=pictures.labels,
        attacker_images=others,
        effort=effort,
        backbone=options.backbone,
        seed=options.seed,
        show_progress=True,
    )


def _audit_encrypted(options: argparse.Namespace, encryption: "Encryption") -> "AuditReport":
    from ..privacy_report.bench import blind_effort
    from ..privacy_report.report import encrypted_report
    from ..privacy_report.sources import sample_pictures

    flags = given_settings(options) + ["--sweep"] * options.sweep + ["--settings"] * bool(options.settings)
    flags += [f"--{name}" for name in _PLAIN_ONLY if getattr(options, name.replace("-", "_"))]
    if flags:
        raise InputValueError(
            f"{flags[0]}: SOURCE is encrypted, so its settings are known and nothing can be measured; leave "
            "it out, or audit the plain images."
        )
    effort = blind_effort(options.effort, options.num_images)
    pictures = sample_pictures(
        options.source,
        effort.images,
        image_column=options.image_column,
        config_name=options.config_name,
        seed=options.seed,
        shrink=False,
    )
    return encrypted_report(pictures.images, encryption, effort=effort, seed=options.seed, show_progress=True)


def _settings(options: argparse.Namespace) -> "list[Encryption]":
    """Collect the settings to audit; they come from one place only."""
    from ..privacy_report.card import settings_of_card
    from ..privacy_report.sweep import sweep

    flags = given_settings(options)
    places = {"--sweep": options.sweep, "--settings": options.settings, "--card": options.card is not None}
    chosen = [name for name, given in places.items() if given]
    foreign = [flag for flag in flags if not (options.sweep and flag in ("--image-size", "--patch-size"))]
    if len(chosen) > 1 or (chosen and foreign):
        raise InputValueError(
            f"{' and '.join([*chosen, *foreign])}: settings come from one place; leave all but one out."
        )
    if options.card is not None:
        return [settings_of_card(options.card)]
    if options.settings:
        return [_read_settings(place) for place in options.settings]
    if options.sweep:
        base = settings_from(options)
        return sweep(image_size=base.image_size, patch_size=base.patch_size)
    encryption: Encryption = settings_from(options)
    return [encryption]


def _read_settings(place: str) -> "Encryption":
    import json
    from pathlib import Path

    from ..encryption.base import Encryption

    if Path(place).is_dir():
        return Encryption.from_pretrained(place)
    if not Path(place).is_file():
        raise MissingFileError(
            f"--settings: there is no {place}; name an encryption_config.json, or a folder with one."
        )
    try:
        return Encryption.from_dict(json.loads(Path(place).read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputValueError(f"--settings: {place} is no settings file.") from error


def _settings_of_encrypted(source: list[str]) -> "Encryption | None":
    """Read the settings of an encrypted dataset; None for anything else."""
    from pathlib import Path

    from ..encryption.base import Encryption
    from ..layout import SETTINGS_FILE

    place = Path(source[0])
    if len(source) > 1 or place.is_file():
        return None
    if place.is_dir():
        return Encryption.from_pretrained(place) if (place / SETTINGS_FILE).is_file() else None
    from huggingface_hub import HfApi

    try:
        files = {file.rfilename for file in HfApi().dataset_info(source[0]).siblings or ()}
    except Exception:
        return None  # whatever is wrong, reading it as plain images asks the same and tells
    return Encryption.from_pretrained(source[0], repo_type="dataset") if SETTINGS_FILE in files else None
