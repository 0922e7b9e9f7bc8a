"""Write rows as picture files: a folder for each split, in it one for each class."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..column_types.features import Features
from ..column_types.kinds import ClassLabel, Image

METADATA_FILE = "metadata.jsonl"

# What a class may be called for its folder to have the same name.
_FOLDER_NAME = re.compile(r"[^\W_](?:[\w ()+,.-]{0,98}[\w)+])?")


def write_picture_files(
    folder: Path, split: str, batches: Iterator[dict[str, list[Any]]], features: Features
) -> None:
    """Write `split/class/000000.png`, numbered as the rows are; other columns go into `metadata.jsonl`.

    A column of classes makes the folders, "label" before others. What it has beside goes, with the names of
    the files, into a file that the `datasets` library reads as well.

    Args:
        folder: is there already.
        split: name of the split.
        batches: rows, images as the bytes of PNG files.
        features: of the rows, ours or those of `datasets`; exactly one is an image.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> features = Features({"image": Image(), "label": ClassLabel(names=["cat"])})
        >>> write_picture_files(folder, "train", iter([{"image": [b"PNG"], "label": [0]}]), features)
        >>> [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
        ['train/cat/000000.png']
    """
    features = Features.from_datasets(features)
    (column,) = (name for name, feature in features.items() if isinstance(feature, Image))
    by_class = _column_of_classes(features)
    others = [name for name in features if name not in (column, by_class)]
    number, place = 0, folder / split
    place.mkdir()
    with (place / METADATA_FILE).open("w", encoding="utf-8") as metadata:
        for batch in batches:
            for i, file in enumerate(batch[column]):
                label = None if by_class is None else batch[by_class][i]
                name = f"{_folder_of(features, by_class, label)}{number:06d}.png"
                (place / name).parent.mkdir(exist_ok=True)
                (place / name).write_bytes(file)
                said = {"file_name": name} | {other: batch[other][i] for other in others}
                if by_class is not None:
                    said[by_class] = _class_name(features[by_class], label)
                metadata.write(json.dumps(said, default=str) + "\n")
                number += 1
    if not others and all(map(_is_folder_name, getattr(features.get(by_class), "names", ()))):
        (place / METADATA_FILE).unlink()  # the folders tell it all


def _column_of_classes(features: Features) -> str | None:
    classes = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    return "label" if "label" in classes else next(iter(classes), None)


def _class_name(feature: ClassLabel, label: int | None) -> str | None:
    return None if label is None or not 0 <= label < feature.num_classes else feature.names[label]


def _folder_of(features: Features, by_class: str | None, label: int | None) -> str:
    r"""Name the folder of a class; one whose name leads elsewhere is called by its number.

    Example:

        >>> features = Features({"label": ClassLabel(names=["grey cat", "../up"])})
        >>> [_folder_of(features, "label", label) for label in (0, 1, None)]
        ['grey cat/', 'class_1/', 'no_class/']
    """
    if by_class is None:
        return ""
    name = _class_name(features[by_class], label)
    if name is None:
        return "no_class/"
    return f"{name}/" if _is_folder_name(name) else f"class_{label}/"


def _is_folder_name(name: str) -> bool:
    return name != METADATA_FILE and _FOLDER_NAME.fullmatch(name) is not None
