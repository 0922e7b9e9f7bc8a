"""`hipmr convert`: take over weights that others trained."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import InputValueError, check_extra

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from ..encryption.base import Encryption
    from ..models import PEViTImageProcessorPil
    from ..models.convert_official import ConversionReport

    Converted = tuple[PreTrainedModel, PEViTImageProcessorPil, ConversionReport]

EPILOG = """\
examples:
  hipmr convert google/vit-base-patch16-224 --output-dir pevit
  hipmr convert facebook/dinov2-small --encryption me/scans --output-dir pevit
  hipmr convert published.pth --num-heads 6 --output-dir pevit
  hipmr convert pevit --architecture peyolos --image-size 400 672 --output-dir peyolos

More: docs/builder.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hipmr convert` takes."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="A .pth or .safetensors file of the published program; or a folder or Hub repository that "
        "transformers reads.",
    )
    parser.add_argument(
        "--architecture",
        choices=tuple(_CONVERTERS),
        default="pevit",
        help="pevit, from a ViT, DeiT or DINOv2; or peyolos, from these (DINOv2 without registers), a PEViT "
        "or a YOLOS. Default: pevit.",
    )
    parser.add_argument(
        "--encryption",
        metavar="DIR_OR_PRESET",
        help="Encrypted dataset (folder or repository) that it will be trained on, or the name of a preset, "
        "for plain pictures of 224 pixels: its settings go with the checkpoint, and choose "
        "patch width, position encoding and, where they fix it, the size of the images.",
    )
    parser.add_argument(
        "--num-heads", type=int, metavar="N", help="Attention heads; only a .pth or .safetensors needs it."
    )
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="Height and width of the encrypted images the position grid is for. Needed for peyolos, unless "
        "--encryption fixes it (for the published program half of init_pe_size), and for a published pevit "
        "where it is not square.",
    )
    parser.add_argument(
        "--position-encoding",
        choices=("reference", "none", "absolute"),
        help="For what becomes a PEViT: reference and none average its positions; absolute keeps them. "
        "Default: reference, for shuffled patches; absolute, for mixed-up images, as --encryption tells.",
    )
    parser.add_argument(
        "--pictures",
        metavar="SOURCE",
        help="Public pictures, which are seen plain: a folder, Parquet file or Hub dataset. The patch "
        "embedding is fitted to encrypted patches of them, not resized, from which DINOv2 learnt less on "
        "satellite tiles (docs/results.md); for a pevit, with --encryption.",
    )
    parser.add_argument(
        "--patch-embedding",
        choices=("linear", "nonlinear", "invariant", "texture"),
        help="Kind of embedding that is fitted on --pictures. Default: invariant where the settings turn "
        "sub-patches or deal out tones, else linear.",
    )
    parser.add_argument("--output-dir", metavar="DIR", required=True, help="New folder for the checkpoint.")


def run(options: argparse.Namespace) -> None:
    """Convert, list what became of every tensor, and save model and processor."""
    from pathlib import Path

    from ..files import check_is_free

    check_extra("hipmr convert", "torch", "torch", "transformers")
    output_dir = Path(options.output_dir)
    check_is_free(output_dir)
    encryption = None if options.encryption is None else _settings(options.encryption)
    _check_pictures(options)
    with _mistakes_told():
        model, processor, report = _CONVERTERS[options.architecture](options, encryption)
    for kind in ("taken", "dropped", "new"):
        names = getattr(report, kind)
        print(f"{kind}: {len(names)}")
        if kind != "taken":
            print("".join(f"    {name}\n" for name in names), end="")
    for note in report.notes:
        print(f"{note[0].upper()}{note[1:]}.")
    _save(output_dir, model, processor, encryption)
    print(f"Checkpoint: {output_dir}")
    if report.new:
        print("What is new has random weights: train the checkpoint before you use it.")


def _settings(place: str) -> "Encryption":
    """Settings of an encrypted dataset, or those that a preset's name stands for; a folder goes first."""
    from pathlib import Path

    from ..encryption.base import Encryption
    from ..encryption.preset_table import PRESETS

    if place in PRESETS and not Path(place).exists():
        return Encryption.from_preset(place)
    return Encryption.from_pretrained(place)


@contextlib.contextmanager
def _mistakes_told() -> Iterator[None]:
    """Tell what the checkpoint or the arguments do not allow; all else is a mistake of ours."""
    from ..models.convert_official import ConversionError
    from ..training.overrides import values_told

    try:
        with values_told():
            yield
    except ConversionError as error:
        raise InputValueError(str(error)) from error


def _convert_pevit(options: argparse.Namespace, encryption: "Encryption | None") -> "Converted":
    from pathlib import Path

    if Path(options.checkpoint).is_file():
        return _convert_published_pevit(options, encryption)
    from ..models.convert_transformers import load_pevit_from_transformers

    _refuse_what_the_config_tells(options, "num_heads", "image_size")
    position_encoding, fitting = options.position_encoding or "reference", {}
    if encryption is not None:
        fitting = {"patch_size": encryption.encrypted_patch_size}
        if encryption.strategy == "mi":
            position_encoding = options.position_encoding or "absolute"
        if encryption.encrypted_size is not None:
            fitting["image_size"] = encryption.encrypted_size
    if options.pictures is None:
        return load_pevit_from_transformers(
            options.checkpoint, position_encoding=position_encoding, **fitting
        )
    # First for plain patches of the same grid, whose tokens the new embedding then has to give.
    fitting = {"patch_size": encryption.patch_size}
    if isinstance(encryption.image_size, int | tuple):
        fitting["image_size"] = encryption.image_size
    converted = load_pevit_from_transformers(
        options.checkpoint, position_encoding=position_encoding, **fitting
    )
    return _refitted(converted, options, encryption)


def _refitted(converted: "Converted", options: argparse.Namespace, encryption: "Encryption") -> "Converted":
    """Fit the patch embedding on public pictures; only this command and the room `adaptation` see any."""
    import dataclasses

    from ..adaptation.refit import refit_patch_embedding
    from ..privacy_report.sources import sample_pictures

    changed = encryption.sub_patch_symmetries or encryption.shuffle_tones
    kind = options.patch_embedding or ("invariant" if changed else "linear")
    pictures = sample_pictures([options.pictures], _MOST_PICTURES)
    model, processor, report = converted
    model, processor, fit = refit_patch_embedding(
        model, processor, encryption, pictures.images, patch_embedding=kind
    )
    return model, processor, dataclasses.replace(report, notes=(*report.notes, str(fit)))


def _check_pictures(options: argparse.Namespace) -> None:
    from pathlib import Path

    if options.pictures is None:
        if options.patch_embedding is not None:
            raise InputValueError(
                f"--patch-embedding: got {options.patch_embedding}, but nothing to fit it on; name public "
                "pictures with --pictures."
            )
        return
    if options.encryption is None:
        raise InputValueError(
            "--pictures: an embedding is fitted to encrypted patches of them, and nothing says how; name the "
            "dataset with --encryption."
        )
    if options.architecture != "pevit" or Path(options.checkpoint).is_file():
        raise InputValueError(
            "--pictures: the patch embedding is fitted for a pevit from transformers alone; leave them out."
        )


def _convert_published_pevit(options: argparse.Namespace, encryption: "Encryption | None") -> "Converted":
    from ..models import PEViTImageProcessorPil
    from ..models.convert_official import convert_pevit_state_dict, load_state_dict

    num_heads = _needed_num_heads(options)
    if options.position_encoding is not None:
        raise InputValueError(
            "--position-encoding: a checkpoint of the published program has its own; leave it out."
        )
    size = {} if options.image_size is None else {"image_size": _height_and_width(options.image_size)}
    model, report = convert_pevit_state_dict(load_state_dict(options.checkpoint), num_heads, **size)
    _check_patches(model, encryption)
    return model, _published_processor(PEViTImageProcessorPil, model), report


def _convert_peyolos(options: argparse.Namespace, encryption: "Encryption | None") -> "Converted":
    from pathlib import Path

    if options.position_encoding is not None:
        raise InputValueError(
            f"--position-encoding: got {options.position_encoding}, but a detector always has positions; "
            "leave it out, or convert with --architecture pevit."
        )
    if encryption is not None and encryption.strategy == "rs":
        raise InputValueError(
            f"--encryption: {options.encryption} was shuffled, and boxes mean nothing then; name a dataset "
            "that was mixed up (--strategy mi), or convert with --architecture pevit."
        )
    image_size = _detectors_image_size(options, encryption)
    if Path(options.checkpoint).is_file():
        return _convert_published_peyolos(options, image_size, encryption)
    from ..models.convert_transformers_peyolos import load_peyolos_from_transformers

    _refuse_what_the_config_tells(options, "num_heads")
    patch_size = {} if encryption is None else {"patch_size": encryption.encrypted_patch_size}
    return load_peyolos_from_transformers(options.checkpoint, image_size=image_size, **patch_size)


def _detectors_image_size(options: argparse.Namespace, encryption: "Encryption | None") -> tuple[int, int]:
    if options.image_size is not None:
        return _height_and_width(options.image_size)
    if encryption is not None and encryption.encrypted_size is not None:
        return encryption.encrypted_size
    raise InputValueError(
        "--image-size: got none, but a detector's position grid needs the height and width of encrypted "
        "images; give them, for the published program half of its init_pe_size."
    )


def _convert_published_peyolos(
    options: argparse.Namespace, image_size: tuple[int, int], encryption: "Encryption | None"
) -> "Converted":
    from ..models import PEYolosImageProcessorPil
    from ..models.convert_official import load_state_dict
    from ..models.convert_official_peyolos import convert_peyolos_state_dict

    num_heads = _needed_num_heads(options)
    model, report = convert_peyolos_state_dict(load_state_dict(options.checkpoint), num_heads, image_size)
    _check_patches(model, encryption)
    return model, _published_processor(PEYolosImageProcessorPil, model), report


def _check_patches(model: "PreTrainedModel", encryption: "Encryption | None") -> None:
    """Refuse settings that weights of the published program, which are complete, were not trained for."""
    trained = model.config.patch_size
    if encryption is not None and encryption.encrypted_patch_size != trained:
        raise InputValueError(
            f"--encryption: its encrypted patches are {encryption.encrypted_patch_size} pixels wide, and the "
            f"checkpoint was trained on {trained}; name a dataset with patches of that width."
        )


def _published_processor(
    kind: "type[PEViTImageProcessorPil]", model: "PreTrainedModel"
) -> "PEViTImageProcessorPil":
    """The model's processor with ImageNet's figures, which the published recipes normalise with."""
    from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    return kind(
        patch_size=model.config.patch_size, image_mean=IMAGENET_DEFAULT_MEAN, image_std=IMAGENET_DEFAULT_STD
    )


def _needed_num_heads(options: argparse.Namespace) -> int:
    if options.num_heads is None or options.num_heads < 1:
        raise InputValueError(
            f"--num-heads: a state dict cannot tell it, got {options.num_heads}; "
            "give 3 for Ti, 6 for S, 12 for B."
        )
    return options.num_heads


def _refuse_what_the_config_tells(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InputValueError(
                f"{flag}: a checkpoint of transformers tells it in its config; leave it out."
            )


def _height_and_width(values: list[int]) -> tuple[int, int]:
    if len(values) > 2:
        raise InputValueError(f"--image-size: got {values}, expected one number, or height and width.")
    return values[0], values[-1]


def _save(
    output_dir: "Path",
    model: "PreTrainedModel",
    processor: "PEViTImageProcessorPil",
    encryption: "Encryption | None",
) -> None:
    from ..files import whole_folder

    with whole_folder(output_dir) as folder:
        if encryption is not None:
            processor.encrypted_size = encryption.encrypted_size
            encryption.save_pretrained(folder)
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


# Patches of so many pictures are more than the fit takes.
_MOST_PICTURES = 500

# Options and settings in; model, processor and report out. PEYOLOS's processor is a PEViT processor too.
_CONVERTERS = {"pevit": _convert_pevit, "peyolos": _convert_peyolos}
