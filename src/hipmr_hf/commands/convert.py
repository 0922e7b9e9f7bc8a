"""`hipmr convert`: take over weights that others trained."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InputValueError, check_extra

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from ..models import PEViTImageProcessorPil
    from ..models.convert_official import ConversionReport

    Converted = tuple[PreTrainedModel, PEViTImageProcessorPil, ConversionReport]

EPILOG = """\
examples:
  hipmr convert google/vit-base-patch16-224 --output-dir pevit
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
        help="pevit, from a ViT or DeiT; or peyolos, from these, a PEViT or a YOLOS. Default: pevit.",
    )
    parser.add_argument(
        "--num-heads", type=int, metavar="N", help="Attention heads; only a .pth or .safetensors needs it."
    )
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="Height and width of the encrypted images the position grid is for. Needed for peyolos "
        "(for the published program half of init_pe_size), and for a published pevit where it is not square.",
    )
    parser.add_argument(
        "--position-encoding",
        choices=("reference", "none", "absolute"),
        help="For a ViT or DeiT that becomes a PEViT: what takes the place of its positions. Default: "
        "reference, for shuffled patches; absolute keeps them, for mixed-up images.",
    )
    parser.add_argument("--output-dir", metavar="DIR", required=True, help="New folder for the checkpoint.")


def run(options: argparse.Namespace) -> None:
    """Convert, list what became of every tensor, and save model and processor."""
    from pathlib import Path

    from ..files import check_is_free

    check_extra("hipmr convert", "torch", "torch", "transformers")
    output_dir = Path(options.output_dir)
    check_is_free(output_dir)
    model, processor, report = _CONVERTERS[options.architecture](options)
    for kind in ("taken", "dropped", "new"):
        names = getattr(report, kind)
        print(f"{kind}: {len(names)}")
        if kind != "taken":
            print("".join(f"    {name}\n" for name in names), end="")
    _save(output_dir, model, processor)
    print(f"Checkpoint: {output_dir}")


def _convert_pevit(options: argparse.Namespace) -> "Converted":
    from pathlib import Path

    if Path(options.checkpoint).is_file():
        return _convert_published_pevit(options)
    from ..models.convert_transformers import load_pevit_from_transformers

    _refuse_what_the_config_tells(options, "num_heads", "image_size")
    return load_pevit_from_transformers(
        options.checkpoint, position_encoding=options.position_encoding or "reference"
    )


def _convert_published_pevit(options: argparse.Namespace) -> "Converted":
    from ..models import PEViTImageProcessorPil
    from ..models.convert_official import convert_pevit_state_dict, load_state_dict

    num_heads = _needed_num_heads(options)
    if options.position_encoding is not None:
        raise InputValueError(
            "--position-encoding: a checkpoint of the published program has its own; leave it out."
        )
    size = {} if options.image_size is None else {"image_size": _height_and_width(options.image_size)}
    model, report = convert_pevit_state_dict(load_state_dict(options.checkpoint), num_heads, **size)
    return model, _published_processor(PEViTImageProcessorPil, model), report


def _convert_peyolos(options: argparse.Namespace) -> "Converted":
    from pathlib import Path

    if options.position_encoding is not None:
        raise InputValueError(
            f"--position-encoding: got {options.position_encoding}, but a detector always has positions; "
            "leave it out, or convert with --architecture pevit."
        )
    if options.image_size is None:
        raise InputValueError(
            "--image-size: got none, but a detector's position grid needs the height and width of encrypted "
            "images; give them, for the published program half of its init_pe_size."
        )
    image_size = _height_and_width(options.image_size)
    if Path(options.checkpoint).is_file():
        return _convert_published_peyolos(options, image_size)
    from ..models.convert_transformers_peyolos import load_peyolos_from_transformers

    _refuse_what_the_config_tells(options, "num_heads")
    return load_peyolos_from_transformers(options.checkpoint, image_size=image_size)


def _convert_published_peyolos(options: argparse.Namespace, image_size: tuple[int, int]) -> "Converted":
    from ..models import PEYolosImageProcessorPil
    from ..models.convert_official import load_state_dict
    from ..models.convert_official_peyolos import convert_peyolos_state_dict

    num_heads = _needed_num_heads(options)
    model, report = convert_peyolos_state_dict(load_state_dict(options.checkpoint), num_heads, image_size)
    return model, _published_processor(PEYolosImageProcessorPil, model), report


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


def _save(output_dir: "Path", model: "PreTrainedModel", processor: "PEViTImageProcessorPil") -> None:
    from ..files import whole_folder

    with whole_folder(output_dir) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


# Options in; model, processor and report out. PEYOLOS's processor is a PEViT processor too.
_CONVERTERS = {"pevit": _convert_pevit, "peyolos": _convert_peyolos}
