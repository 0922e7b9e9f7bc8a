"""Draw a model's segments on plain pictures, where they live: only their encryption goes through the model.

    python examples/owner/draw_segments.py --dataset_name outputs/plain --checkpoint outputs/pevit_masks \
        --output segments.png

`--dataset_name` is a folder or Hub repository of plain images, `--checkpoint` one of a PEViT for semantic
segmentation, which tells how its images are encrypted. Each row shows the encrypted picture, as the model
sees it; the plain one, with the segments that were found; and, if the dataset has masks, the true ones. The
drawing shows plain pictures, so keep it where they are.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoModelForSemanticSegmentation

from hipmr_hf.encryption.masks import move_mask
from hipmr_hf.training.drawing import captioned, class_colour, enlarged, legend, tile
from hipmr_hf.training.owners_view import DrawingArguments, OwnersView, rows_to_draw
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.segmentation import draw_mask

CAPTIONS = ("what the model sees", "segments it finds, on the plain picture", "the true mask")


@dataclass
class Arguments(DrawingArguments):
    output: Path = field(default=Path("segments.png"), metadata={"help": "The picture to write."})
    mask_column: str = field(default="mask", metadata={"help": "Of the true masks; drawn if it is there."})


def draw(row: dict[str, Any], view: OwnersView, args: Arguments) -> list[Image.Image]:
    """The encrypted picture; and the plain one, as it was resized and cropped, with what was found, and with
    the true mask."""
    image = row[args.image_column]
    plain, seen, outputs = view.of(image)
    size = (plain.height, plain.width)
    (found,) = view.processor.post_process_semantic_segmentation(outputs, [size])
    shown = [seen, draw_mask(plain, found.numpy())]
    if args.mask_column in row:
        placement = view.encryption.placement(image.height, image.width)
        shown.append(draw_mask(plain, move_mask(np.asarray(row[args.mask_column]), placement)))
    return [enlarged(picture) for picture in shown]


def main(arguments: list[str] | None = None) -> Path:
    (args,) = parse_arguments({"drawing": Arguments}, arguments)
    view = OwnersView.load(args.checkpoint, AutoModelForSemanticSegmentation)
    rows = [draw(row, view, args) for row in rows_to_draw(args)]
    columns = zip(CAPTIONS[: len(rows[0])], zip(*rows, strict=True), strict=True)
    sheet = tile([captioned(pictures, text) for text, pictures in columns])
    names = view.model.config.id2label
    colours = {names[label]: class_colour(label) for label in sorted(names) if label > 0}
    legend(sheet, colours).save(args.output)
    print(f"Segments of {len(rows)} pictures: {args.output} (it shows the plain ones)")
    return args.output


if __name__ == "__main__":
    run_script(main)
