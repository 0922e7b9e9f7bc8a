"""Which formats are read, and what the others are called."""

import contextlib

import PIL.Image

# Formats that a picture of a dataset comes in. PIL knows many more; some run programs (EPS) or hold documents
# (PDF).
READABLE_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF"),
    "HEIF",  # of pillow-heif
)
# ISO/IEC 23008-12, annex B: brands of files whose pictures are coded as HEVC.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MARKS = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}
# What pictures begin with that Pillow does not know, with the place of the mark.
_OTHER_MARKS = (
    ("DICOM", 128, b"DICM"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 4, b"JXL "),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("HEIC", 4, b"ftyp"),
    ("GIMP", 0, b"gimp xcf"),
)


def formats_for(file: bytes) -> list[str]:
    r"""Return the formats to try a file as, after loading what reads it; it is not opened.

    HEIC files need pillow-heif, which is imported for the first of them. PNG and JPEG files, which the others
    refuse by their first bytes, need not wait until all of Pillow's formats are loaded.

    Example:

        >>> formats_for(b"\xff\xd8\xff")
        ['JPEG']
    """
    PIL.Image.preinit()
    for name, mark in _MARKS.items():
        if file.startswith(mark) and name in PIL.Image.OPEN:
            return [name]
    PIL.Image.init()  # registers all formats: PIL raises KeyError for one that this build lacks
    if _is_heif(file) and "HEIF" not in PIL.Image.OPEN:
        with contextlib.suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
    return [name for name in READABLE_FORMATS if name in PIL.Image.OPEN]


def why_unreadable(file: bytes) -> str | None:
    """Tell what a file is that none of the readable formats fits, with the remedy; None if nothing is known.

    Example:

        >>> why_unreadable(b"8BPS" + bytes(22))
        'it is of the format PSD, which is not read: convert it to PNG first'
    """
    if _is_heif(file):
        return "it is HEIC, which pillow-heif reads: pip install pillow-heif, or convert it to PNG first"
    name = _name_by_pillow(file[:16]) or _name_by_mark(file[:256])
    return None if name is None else f"it is of the format {name}, which is not read: convert it to PNG first"


def _is_heif(file: bytes) -> bool:
    return bytes(file[4:8]) == b"ftyp" and bytes(file[8:12]) in _HEIF_BRANDS


def _name_by_pillow(prefix: bytes) -> str | None:
    """Ask those formats of Pillow that look at the first bytes alone; a text says what this build lacks."""
    PIL.Image.init()
    for name, (_, accepts) in PIL.Image.OPEN.items():
        answer = accepts is not None and accepts(prefix)
        if answer and (name not in READABLE_FORMATS or isinstance(answer, str)):
            return name
    return None


def _name_by_mark(head: bytes) -> str | None:
    return next((name for name, place, mark in _OTHER_MARKS if head[place:].startswith(mark)), None)
