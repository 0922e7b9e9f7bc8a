"""Draw a detector's boxes on plain pictures, where they live: only their encryption goes through the model.

    python examples/owner/draw_detections.py --dataset_name outputs/plain --checkpoint outputs/peyolos \
        --output detections.png

`--dataset_name` is a folder or Hub repository of plain images, `--checkpoint` one of a PEYOLOS, which tells
how its images are encrypted. Below each encrypted picture, as the model sees it, stands the plain one. The
drawing shows plain pictures, so keep it where they are.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from hipmr_hf import Encryption
from hipmr_hf.training.drawing import draw_detections, tile
from hipmr_hf.training.script import parse_arguments, run_script
from hipmr_hf.training.splits import load_splits


@dataclass
class Arguments:
    dataset_name: str = field(metadata={"help": "Folder or Hub repository of plain images."})
    checkpoint: str = field(metadata={"help": "Folder or Hub repository of a PEYOLOS."})
    output: Path = field(default=Path("detections.png"), metadata={"help": "The picture to write."})
    split: str = "test"
    image_column: str = "image"
    num_images: int = field(default=4, metadata={"help": "The first images of the split."})
    threshold: float = field(default=0.5, metadata={"help": "Least score, 0 to 1, of a box that is drawn."})


@torch.no_grad()
def draw(image: Image.Image, encryption: Encryption, model, processor, threshold: float) -> list[Image.Image]:
    """The encrypted picture and the plain one, as it was resized and cropped, with the same boxes."""
    plain = Image.fromarray(encryption.prepare(image))
    encrypted = encryption(image)
    inputs = processor([np.asarray(encrypted)], return_tensors="pt")
    size = (plain.height, plain.width)
    (found,) = processor.post_process_object_detection(model(**inputs), threshold, [size])
    seen = encrypted.resize(plain.size, Image.Resampling.NEAREST)
    names = list(model.config.id2label.values())
    return [draw_detections(picture, found, names) for picture in (seen, plain)]


def main(arguments: list[str] | None = None) -> Path:
    (args,) = parse_arguments({"drawing": Arguments}, arguments)
    encryption = Encryption.from_pretrained(args.checkpoint, repo_type="model")
    rows, _ = load_splits(args.dataset_name, train_split=args.split, eval_split=args.split)
    model = AutoModelForObjectDetection.from_pretrained(args.checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(args.checkpoint)
    pictures = [row[args.image_column] for row in rows.take(min(args.num_images, len(rows)))]
    tile([draw(one, encryption, model, processor, args.threshold) for one in pictures]).save(args.output)
    print(f"Detections on {len(pictures)} pictures: {args.output} (it shows the plain ones)")
    return args.output


if __name__ == "__main__":
    run_script(main)
