"""Draw a detector's boxes on plain pictures, where they live: only their encryption goes through the model.

    python examples/owner/draw_detections.py --dataset_name outputs/plain --checkpoint outputs/peyolos \
        --output detections.png

`--dataset_name` is a folder or Hub repository of plain images, `--checkpoint` one of a PEYOLOS, which tells
how its images are encrypted. Below each encrypted picture, as the model sees it, stands the plain one. The
drawing shows plain pictures, so keep it where they are.
"""

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from transformers import AutoModelForObjectDetection

from hipmr_hf.training.drawing import draw_detections, tile
from hipmr_hf.training.owners_view import DrawingArguments, OwnersView, rows_to_draw
from hipmr_hf.training.script import parse_arguments, run_script


@dataclass
class Arguments(DrawingArguments):
    output: Path = field(default=Path("detections.png"), metadata={"help": "The picture to write."})
    threshold: float = field(default=0.5, metadata={"help": "Least score, 0 to 1, of a box that is drawn."})


def draw(image: Image.Image, view: OwnersView, threshold: float) -> list[Image.Image]:
    """The encrypted picture and the plain one, as it was resized and cropped, with the same boxes."""
    plain, seen, outputs = view.of(image)
    size = (plain.height, plain.width)
    (found,) = view.processor.post_process_object_detection(outputs, threshold, [size])
    names = list(view.model.config.id2label.values())
    return [draw_detections(picture, found, names) for picture in (seen, plain)]


def main(arguments: list[str] | None = None) -> Path:
    (args,) = parse_arguments({"drawing": Arguments}, arguments)
    view = OwnersView.load(args.checkpoint, AutoModelForObjectDetection)
    pictures = rows_to_draw(args)[args.image_column]
    tile([draw(one, view, args.threshold) for one in pictures]).save(args.output)
    print(f"Detections on {len(pictures)} pictures: {args.output} (it shows the plain ones)")
    return args.output


if __name__ == "__main__":
    run_script(main)
