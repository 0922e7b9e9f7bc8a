"""Layouts of detection data: COCO's JSON, YOLO's data.yaml, Pascal VOC's XML."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ...column_types.kinds import ClassLabel, List, Value
from ...errors import ImageReadingError, InputValueError
from .folders import split_by_folder
from .kinds import is_hidden, suffix_of
from .listing import Listing, split_in, split_name
from .tree import Tree, read_file

_MAX_TEXT_BYTES = 2**20
_READ = "an annotation that was read"
_NOT_ANNOTATED = "in no annotation"


def _objects(names: Sequence[str], *, crowds: bool = False) -> dict[str, Any]:
    fields = {"bbox": List(List(Value("float32"), length=4)), "category": List(ClassLabel(names=list(names)))}
    return {"objects": fields | ({"iscrowd": List(Value("int64"))} if crowds else {})}


def _listing(
    layout: str,
    rows: Mapping[str, list[tuple[str, dict[str, Any]]]],
    features: dict[str, Any],
    tree: Tree,
    pictures: Iterable[str],
    read: Iterable[str],
    box_format: str,
) -> Listing:
    taken = [name for split in rows.values() for name, _ in split]
    if len(set(taken)) < len(taken):
        raise InputValueError(f"SOURCE: as {layout}, a picture is in two splits; list it in one.")
    there = set(tree.names)
    if missing := [name for name in taken if name not in there]:
        raise InputValueError(
            f"SOURCE: as {layout}, its annotations name {len(missing)} pictures that are not there, the "
            "first is "
            f"{missing[0]}; mend them, or bring the pictures."
        )
    left = dict.fromkeys(set(pictures) - set(taken), _NOT_ANNOTATED)
    return Listing(layout, dict(rows), features, {**left, **dict.fromkeys(read, _READ)}, box_format)


def _text(tree: Tree, name: str, limit: int = _MAX_TEXT_BYTES) -> str:
    try:
        return read_file(tree, name, limit=limit).decode("utf-8-sig")
    except (ImageReadingError, UnicodeDecodeError) as error:
        raise InputValueError(f"SOURCE: {name} cannot be read as text; mend it.") from error


# COCO


def is_coco(tree: Tree, name: str) -> bool:
    """Whether a JSON file holds COCO's images, annotations and categories; it looks into its text only."""
    with tree.open(name) as file:
        content = file.read()
    return all(f'"{word}"'.encode() in content for word in ("images", "annotations", "categories"))


def list_coco(tree: Tree, files: Sequence[str], pictures: Sequence[str]) -> Listing:
    """Take COCO's JSON files, one a split, such as `instances_train2017.json`."""
    splits: dict[str, dict[str, Any]] = {}
    for file in files:
        split = split_in(file) if len(files) > 1 else split_in(file, default="train")
        if split in splits:
            raise InputValueError(f"SOURCE: two COCO files would be the split {split!r}; rename one.")
        splits[split] = _coco(tree, file)
    names = list(dict.fromkeys(entry["name"] for told in splits.values() for entry in _by_id(told).values()))
    crowds = any("iscrowd" in entry for told in splits.values() for entry in told["annotations"])
    places = _places(pictures)
    rows = {split: _coco_rows(told, names, crowds, places, split) for split, told in splits.items()}
    return _listing("COCO", rows, _objects(names, crowds=crowds), tree, pictures, files, "coco")


def _coco(tree: Tree, file: str) -> dict[str, Any]:
    try:
        told = json.loads(_text(tree, file, limit=2**31))
        _ = [(image["id"], image["file_name"]) for image in told["images"]], _by_id(told)
        _ = [(entry["image_id"], entry["category_id"], entry["bbox"]) for entry in told["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputValueError(
            f"SOURCE: {file} is no COCO annotation ({type(error).__name__}); mend it."
        ) from error
    return told


def _by_id(told: Mapping[str, Any]) -> dict[Any, Any]:
    return {entry["id"]: entry for entry in sorted(told["categories"], key=lambda entry: entry["id"])}


def _coco_rows(
    told: Mapping[str, Any], names: Sequence[str], crowds: bool, places: Mapping[str, list[str]], split: str
) -> list[tuple[str, dict[str, Any]]]:
    of_image = defaultdict(list)
    for entry in told["annotations"]:
        of_image[entry["image_id"]].append(entry)
    categories, rows = _by_id(told), []
    for image in told["images"]:
        entries = of_image[image["id"]]
        if unknown := {entry["category_id"] for entry in entries} - set(categories):
            raise InputValueError(
                f"SOURCE: as COCO, the categories {sorted(unknown)} are not declared; mend it."
            )
        objects = {
            "bbox": [entry["bbox"] for entry in entries],
            "category": [names.index(categories[entry["category_id"]]["name"]) for entry in entries],
        }
        if crowds:
            objects["iscrowd"] = [int(entry.get("iscrowd", 0)) for entry in entries]
        rows.append((_found(places, image["file_name"], split), {"objects": objects}))
    return sorted(rows, key=lambda row: row[0])


def _places(pictures: Iterable[str]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for name in pictures:
        places[name.rpartition("/")[2]].append(name)
    return places


def _found(places: Mapping[str, list[str]], file_name: str, split: str) -> str:
    """Return the picture that a file name of an annotation means: the one whose name ends in it."""
    path = str(file_name).replace("\\", "/")
    ending = [name for name in places.get(path.rpartition("/")[2], ()) if f"/{name}".endswith(f"/{path}")]
    if len(ending) > 1:
        ending = [name for name in ending if split_in(name.rpartition("/")[0]) == split] or ending
    if len(ending) > 1:
        raise InputValueError(f"SOURCE: an annotation names {path}, and there are {len(ending)} such files.")
    return ending[0] if ending else path


# YOLO


def list_yolo(tree: Tree, file: str, pictures: Sequence[str]) -> Listing:
    """Take what `data.yaml` names: pictures of each split, and beside each `images/` a `labels/`."""
    told = _yaml(tree, file)
    names = told["names"]
    names = [str(names[key]) for key in sorted(names)] if isinstance(names, dict) else list(map(str, names))
    rows, read, there = {}, {file}, set(tree.names)
    for key in ("train", "val", "test"):
        if told.get(key):
            folders = told[key] if isinstance(told[key], list) else [told[key]]
            found = sorted(name for folder in folders for name in _below(file, told, folder, pictures))
            rows[split_name(key)] = [
                (name, {"objects": _yolo_objects(tree, name, len(names), read, there)}) for name in found
            ]
    return _listing("YOLO", rows, _objects(names), tree, pictures, read, "yolo")


def _yaml(tree: Tree, file: str) -> dict[str, Any]:
    import yaml

    try:
        told = yaml.safe_load(_text(tree, file))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputValueError(f"SOURCE: {file} is no YAML; mend it.") from error
    if not isinstance(told, dict) or not isinstance(told.get("names"), (list, dict)):
        raise InputValueError(f"SOURCE: {file} names no classes; expected names, and train, val or test.")
    return told


def _below(file: str, told: Mapping[str, Any], folder: Any, pictures: Sequence[str]) -> list[str]:
    """Return the pictures below a folder that data.yaml names, counted from its place or its `path`."""
    parts = PurePosixPath(str(folder).replace("\\", "/")).parts
    inner = "/".join(part for part in parts if part not in ("..", ".", "/"))
    base = PurePosixPath(file).parent.as_posix().removeprefix(".")
    path = str(told.get("path") or "").strip("./")
    tried = ["/".join(filter(None, (base, place, inner))) for place in ("", path)]
    for place in tried:
        if found := [name for name in pictures if name.startswith(f"{place}/")]:
            return found
    raise InputValueError(
        f"SOURCE: {file} names {folder}, and no picture lies there inside of the source; looked in "
        f"{' and '.join(dict.fromkeys(tried))}."
    )


def _yolo_objects(
    tree: Tree, picture: str, num_classes: int, read: set[str], there: set[str]
) -> dict[str, list]:
    head, found, tail = f"/{picture}".rpartition("/images/")
    label = f"{head}/labels/{tail}".lstrip("/") if found else picture
    label = label.removesuffix(suffix_of_case(label)) + ".txt"
    objects: dict[str, list] = {"bbox": [], "category": []}
    if label not in there:
        return objects  # as YOLO has it: a picture with nothing in it
    read.add(label)
    for line in _text(tree, label).splitlines():
        words = line.split()
        if not words:
            continue
        try:
            category, box = int(words[0]), [float(word) for word in words[1:5]]
        except ValueError as error:
            raise InputValueError(f"SOURCE: {label} is no YOLO label file; mend it.") from error
        if len(words) != 5 or not 0 <= category < num_classes:
            raise InputValueError(
                f"SOURCE: {label} has a line of {len(words)} numbers with class {category}; expected a class "
                f"below {num_classes} and four numbers (outlines are not taken)."
            )
        objects["bbox"].append(box)
        objects["category"].append(category)
    return objects


def suffix_of_case(name: str) -> str:
    """Return a file name's suffix as it is written."""
    return name[len(name) - len(suffix_of(name)) :]


# Pascal VOC


def is_voc(tree: Tree, pictures: Iterable[str]) -> bool:
    """Whether there are XML files in a folder `Annotations`, or annotations beside pictures."""
    files = _voc_files(tree.names, _bare(pictures))
    if not files or any("Annotations/" in file for file in files):
        return bool(files)
    with tree.open(files[0]) as file:
        return b"<annotation" in file.read(1024)  # others lay XML of other kinds beside pictures


def list_voc(tree: Tree, pictures: Sequence[str]) -> Listing:
    """Take the XML files in `Annotations/`, or beside their pictures, and the lists in `ImageSets/Main/`.

    Without lists, folders tell the splits as in a folder of pictures.
    """
    bare = _bare(pictures)
    by_stem = {PurePosixPath(name).stem: name for name in reversed(pictures)}  # the first of a stem
    told = {file: _voc(tree, file) for file in _voc_files(tree.names, bare)}
    names = sorted({category for boxes in told.values() for category, _ in boxes})
    found: dict[str, dict[str, Any]] = {}
    for file, boxes in told.items():
        stem = PurePosixPath(file).stem
        places = (file.removesuffix(".xml"), file.removesuffix(".xml").replace("Annotations/", "JPEGImages/"))
        ours = next((bare[place] for place in places if place in bare), by_stem.get(stem, f"{stem}.jpg"))
        if ours in found:
            raise InputValueError(
                f"SOURCE: as Pascal VOC, two files annotate {ours}, one is {file}; keep one."
            )
        found[ours] = {
            "objects": {
                "bbox": [box for _, box in boxes],
                "category": [names.index(category) for category, _ in boxes],
            }
        }
    lists = _voc_lists(tree)
    if lists:
        of_stem = {PurePosixPath(name).stem: name for name in found}
        splits = {split: [of_stem[s] for s in stems if s in of_stem] for split, (_, stems) in lists.items()}
    else:
        splits = {split: listed for split, (_, listed) in split_by_folder(sorted(found), None).items()}
    rows = {split: [(name, found[name]) for name in listed] for split, listed in splits.items()}
    read = {*told, *(file for file, _ in lists.values())}
    return _listing("Pascal VOC", rows, _objects(names), tree, pictures, read, "coco")


def _bare(pictures: Iterable[str]) -> dict[str, str]:
    """Pictures by their names without suffix."""
    return {name.removesuffix(suffix_of_case(name)): name for name in pictures}


def _voc_files(names: Iterable[str], bare: Mapping[str, str]) -> list[str]:
    return [
        name
        for name in names
        if name.endswith(".xml")
        and not is_hidden(name)
        and (re.search(r"(^|/)Annotations/[^/]+$", name) or name.removesuffix(".xml") in bare)
    ]


def _voc(tree: Tree, file: str) -> list[tuple[str, list[float]]]:
    import xml.etree.ElementTree as ElementTree

    try:
        root = ElementTree.fromstring(_text(tree, file))
        found = []
        for each in root.iter("object"):
            corners = [
                float(each.find("bndbox").find(name).text) for name in ("xmin", "ymin", "xmax", "ymax")
            ]
            left, top, right, bottom = corners
            # VOC counts pixels from 1 and includes the last one (VOC2012 development kit, section 3.1).
            found.append(
                (each.find("name").text.strip(), [left - 1, top - 1, right - left + 1, bottom - top + 1])
            )
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise InputValueError(f"SOURCE: {file} is no annotation of Pascal VOC; mend it.") from error
    return found


def _voc_lists(tree: Tree) -> dict[str, tuple[str, list[str]]]:
    found = {}
    for name in tree.names:
        match = re.search(r"(^|/)ImageSets/Main/(train|val|test)\.txt$", name)
        if match:
            stems = [line.split()[0] for line in _text(tree, name).splitlines() if line.strip()]
            found[split_name(match[2])] = (name, stems)
    return found
