"""Bring COCO, or a dataset in its format, into the columns that the other examples read.

    python examples/owner/coco_to_parquet.py --images train2017 --split train \
        --annotations annotations/instances_train2017.json --output_dir outputs/coco_plain

COCO's images and annotations are at https://cocodataset.org/#download. The result, `data/train-*.parquet`, is
plain and stays with the data owner, who encrypts it next; `load_dataset(output_dir)` reads it.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Image, List, Value


def read_rows(images: Path, entries: list[dict], annotations: dict[int, list[dict]]) -> Iterator[dict]:
    """Yield the rows of some images; categories are numbered without the gaps that COCO's ids have."""
    for entry in entries:
        objects = annotations.get(entry["id"], [])
        yield {
            "image": {"bytes": (images / entry["file_name"]).read_bytes(), "path": None},
            "objects": {
                name: [one[name] for one in objects] for name in ("bbox", "category", "area", "iscrowd")
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="Folder of the images.")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO's instances_*.json.")
    parser.add_argument("--split", required=True, help="Its name in the result, such as train.")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--images_per_file", type=int, default=1000)
    args = parser.parse_args()

    content = json.loads(args.annotations.read_text())
    categories = {entry["id"]: index for index, entry in enumerate(content["categories"])}
    annotations = defaultdict(list)
    for entry in content["annotations"]:
        annotations[entry["image_id"]].append(
            {
                **{name: entry[name] for name in ("bbox", "area", "iscrowd")},
                "category": categories[entry["category_id"]],
            }
        )
    columns = {
        "bbox": List(List(Value("float32"), length=4)),
        "category": List(ClassLabel(names=[entry["name"] for entry in content["categories"]])),
        "area": List(Value("float32")),
        "iscrowd": List(Value("int64")),
    }
    features = Features({"image": Image(), "objects": columns})

    folder = args.output_dir / "data"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(content["images"]), args.images_per_file)
    for number, start in enumerate(starts):
        chunk = content["images"][start : start + args.images_per_file]
        rows = Dataset.from_list(list(read_rows(args.images, chunk, annotations)), features=features)
        path = folder / f"{args.split}-{number:05}-of-{len(starts):05}.parquet"
        rows.to_parquet(path)
        print(f"{path}: {len(chunk)} images", flush=True)


if __name__ == "__main__":
    main()
