"""Layouts that folders alone tell: flat, class folders, split folders, split folders with class folders."""

from collections.abc import Iterable, Mapping

from ...errors import InputValueError
from .kinds import SPLIT_NAMES
from .listing import Listing, SourceOptions, class_numbers, label_features, split_name


def list_folders(pictures: Iterable[str], options: SourceOptions) -> Listing:
    """Take folders for splits and classes, where that is plain to see or was said.

    Args:
        pictures: names of the picture files.
        options: `splits` and `labels` decide where they are given.

    Raises:
        InputValueError: pictures that would be in no split or no class.
    """
    by_split = split_by_folder(sorted(pictures), options.splits)
    inner = {split: {name: _below(name, root) for name in names} for split, (root, names) in by_split.items()}
    classes = _classes(inner, options.labels)
    numbers = class_numbers(classes.values())
    rows = {
        split: [(name, {"label": numbers[classes[name]]} if numbers else {}) for name in names]
        for split, (_, names) in by_split.items()
    }
    splits = "split folders" if any(root for root, _ in by_split.values()) else ""
    labels = "class folders" if numbers else ""
    words = " with ".join(filter(None, (splits, labels))) or "a folder of pictures"
    return Listing(words, rows, dict(label_features(numbers)) if numbers else {})


def split_by_folder(pictures: list[str], splits: str | None) -> dict[str, tuple[str, list[str]]]:
    """Group pictures by split: its folder ("" for none), and their names.

    Raises:
        InputValueError: some lie in folders of splits, and others beside them.
    """
    tops: dict[str, list[str]] = {}
    for name in pictures:
        tops.setdefault(name.split("/")[0] if "/" in name else "", []).append(name)
    known = [top for top in tops if top.lower() in SPLIT_NAMES]
    if splits == "none" or (splits is None and not known):
        return {"train": ("", pictures)}
    others = {top: names for top, names in tops.items() if top not in known or not top}
    if others and splits is None:
        listed = ", ".join(f"{len(names)} in {top or 'no folder'}" for top, names in list(others.items())[:5])
        raise InputValueError(
            f"SOURCE: it has folders of splits ({', '.join(sorted(known))}), and pictures beside them "
            f"({listed}), "
            "which would be in none. Move them, or say --splits folders (each folder is a split) or --splits "
            "none (all is one)."
        )
    if "" in tops:
        raise InputValueError(
            f"--splits: got folders, but {len(tops[''])} pictures lie in no folder, the first is "
            f"{tops[''][0]}; "
            "move them into one, or say --splits none."
        )
    found: dict[str, tuple[str, list[str]]] = {}
    for top, names in tops.items():
        if split_name(top) in found:
            raise InputValueError(
                f"SOURCE: the folders {found[split_name(top)][0]} and {top} would both be the split "
                f"{split_name(top)!r}; rename one, or join them."
            )
        found[split_name(top)] = (top, names)
    return found


def _below(name: str, root: str) -> str:
    return name[len(root) + 1 :] if root else name


def _classes(inner: Mapping[str, Mapping[str, str]], labels: str | None) -> dict[str, str]:
    """Return the class folder of every picture, or nothing where there are no classes."""
    places = {
        name: [part for part in below.split("/") if part]
        for names in inner.values()
        for name, below in names.items()
    }
    loose = [name for name, place in places.items() if len(place) == 1]
    if labels == "none" or (labels is None and len(loose) == len(places)):
        return {}
    deep = [name for name, place in places.items() if len(place) > 2]
    if labels is None and (loose or deep):
        seen = (
            f"{len(loose)} in no folder" if loose else f"{len(deep)} in folders of folders, such as {deep[0]}"
        )
        raise InputValueError(
            f"SOURCE: {len(places) - len(loose)} pictures lie in folders that look like classes, and {seen}. "
            "Say "
            "--labels folders (the first folder is the class) or --labels none (folders mean nothing)."
        )
    if labels not in (None, "folders"):
        raise InputValueError(
            f"--labels: got {labels!r}, but this source has no columns; allowed are folders and none."
        )
    if loose:
        raise InputValueError(
            f"--labels: got folders, but {len(loose)} pictures lie in none, the first is {loose[0]}; move "
            "them, "
            "or say --labels none."
        )
    classes = {name: place[0] for name, place in places.items()}
    one_for_all = labels is None and len(set(classes.values())) == 1  # a folder in a folder tells nothing
    return {} if one_for_all else classes
