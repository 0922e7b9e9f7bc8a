"""What names tell: which files are pictures, by them or their first bytes, and which folders are splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tree import Tree

READABLE_SUFFIXES = frozenset(
    [
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".j2k",
        ".jpx",
        ".j2c",
        ".jpf",
        ".avif",
        ".avifs",
        ".mpo",
        ".heic",
        ".heif",
        ".hif",
    ]
)
# Pictures all the same, that nothing here can read: each is named, never passed over in silence.
OTHER_SUFFIXES = frozenset(
    [
        ".dcm",
        ".dicom",
        ".nii",
        ".psd",
        ".xcf",
        ".exr",
        ".hdr",
        ".jxl",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".dng",
        ".orf",
        ".rw2",
        ".raf",
        ".tga",
        ".pcx",
        ".svs",
        ".ndpi",
        ".jxr",
        ".fits",
        ".mha",
        ".nrrd",
    ]
)
_SIGNATURES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)
_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"hevc", b"msf1")

# What folders of a split are called, and what the split is called then.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}


def suffix_of(name: str) -> str:
    """Return a file name's suffix in small letters, with its dot."""
    last = name.rpartition("/")[2]
    return f".{last.rpartition('.')[2].lower()}" if "." in last[1:] else ""


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder that it lies in, is the system's own: `.DS_Store`, `__MACOSX/`, `.git/`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def is_picture(tree: Tree, name: str) -> bool:
    """Whether a file is a picture: by its suffix, or, for others, by its first bytes."""
    suffix = suffix_of(name)
    return suffix in READABLE_SUFFIXES or suffix in OTHER_SUFFIXES or _looks_like_picture(tree, name)


def _looks_like_picture(tree: Tree, name: str) -> bool:
    try:
        with tree.open(name) as file:
            head = file.read(16)
    except Exception:  # it is named as unreadable when it is read
        return False
    webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return head.startswith(_SIGNATURES) or webp or (head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS)
