"""Damaged pictures for `read_image` and `foreign_parts`: valid files of every format and mode, mutated."""

import contextlib
import io
import random

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin

from fuzz.mutations import mutate
from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.chunks import foreign_parts
from hipmr_hf.images.reading import READABLE_FORMATS, read_image

# Stands in the metadata of the valid files; no error may quote it.
SECRET = "john-doe-canary"
PIXEL_LIMIT = 2**20


def valid_files() -> dict[str, list[bytes]]:
    """Write small pictures in every format that can be read, in the modes that it can hold.

    Returns:
        Files by format; formats that this build of Pillow cannot write are left out.
    """
    PIL.Image.init()
    writers = {name: _VARIANTS[name] for name in READABLE_FORMATS if name in PIL.Image.SAVE}
    return {name: [_written(name, *variant) for variant in variants] for name, variants in writers.items()}


def check_reading(file: bytes) -> str:
    """Read a damaged picture; returns what came of it: "pixels" or "refused".

    Raises:
        AssertionError: the pixels are not what `read_image` promises, or its error quotes metadata.
        Exception: any error that is not documented, which is a finding.
    """
    PIL.Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    try:
        pixels = read_image(file)
    except ImageReadingError as error:
        assert SECRET not in str(error), "the error quotes metadata"
        assert error.__context__ is None, "the error of PIL is chained"
        return "refused"
    assert pixels.dtype == np.uint8, f"dtype {pixels.dtype}"
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.flags.c_contiguous, f"shape {pixels.shape}"
    assert 0 < pixels.shape[0] * pixels.shape[1] <= PIXEL_LIMIT, f"{pixels.shape} is beyond the limit"
    return "pixels"


def check_parts(file: bytes) -> str:
    """Look for foreign parts in a damaged picture; returns "named", "none" or "refused"."""
    try:
        return "named" if foreign_parts(file) else "none"
    except ValueError:
        return "refused"


class DamagedPictures:
    """Gives damaged pictures of some formats, the same one for the same source of chance.

    Args:
        formats: names as in `READABLE_FORMATS`; None for all.
    """

    def __init__(self, formats: tuple[str, ...] | None = None):
        files = valid_files()
        self.files = {name: files[name] for name in formats or files if name in files}
        self.others = [file for of_format in self.files.values() for file in of_format]

    def __call__(self, chance: random.Random) -> bytes:
        """Return the next picture."""
        name = chance.choice(sorted(self.files))
        return mutate(chance.choice(self.files[name]), self.others, chance)


def _picture(mode: str, seed: int = 0) -> PIL.Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 4), dtype=np.uint8)
    noise[::2] //= 4
    picture = PIL.Image.fromarray(noise)
    if mode == "I;16":
        return PIL.Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    if mode in ("F", "I"):
        return picture.convert("L").convert(mode)
    return picture.convert("RGB").convert(mode) if mode != "RGBA" else picture


def _written(image_format: str, mode: str, options: dict, frames: int) -> bytes:
    options = dict(options)
    if frames > 1:
        options |= {"save_all": True, "append_images": [_picture(mode, i) for i in range(1, frames)]}
    file = io.BytesIO()
    with contextlib.suppress(KeyError, OSError):
        _picture(mode).save(file, image_format, **options)
    return file.getvalue() or _written(image_format, "RGB", {}, 1)


def _metadata() -> dict:
    exif = PIL.Image.Exif()
    exif[0x013B], exif[0x0112] = SECRET, 6
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "icc_profile": profile}


def _png_text() -> PIL.PngImagePlugin.PngInfo:
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Author", SECRET)
    text.add_text("Comment", SECRET * 20, zip=True)
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>")
    return text


# Mode, options of Pillow's writer, frames.
_VARIANTS: dict[str, list[tuple[str, dict, int]]] = {
    "PNG": [
        *((mode, {}, 1) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("RGB", {**_metadata(), "pnginfo": _png_text()}, 1),
        ("P", {"transparency": 3}, 1),
        ("RGB", {"transparency": (1, 2, 3)}, 1),
        ("I;16", {"transparency": 1000}, 1),
        ("RGB", {}, 3),
    ],
    "JPEG": [
        ("L", {}, 1),
        ("RGB", {"subsampling": 2}, 1),
        ("CMYK", {}, 1),
        ("RGB", {"progressive": True, "subsampling": 0}, 1),
        ("RGB", {**_metadata(), "comment": SECRET}, 1),
        ("RGB", {"restart_marker_blocks": 2}, 1),
    ],
    "MPO": [("RGB", {}, 1), ("RGB", {}, 3)],
    "WEBP": [
        ("RGB", {"lossless": True}, 1),
        ("RGBA", {"quality": 50}, 1),
        ("RGB", {**_metadata(), "quality": 80}, 1),
        ("RGBA", {"lossless": True}, 3),
    ],
    "BMP": [(mode, {}, 1) for mode in ("1", "L", "P", "RGB", "RGBA")],
    "TIFF": [
        *((mode, {}, 1) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "LAB")),
        *(
            ("RGB", {"compression": name}, 1)
            for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
        ),
        ("1", {"compression": "group4"}, 1),
        ("RGB", {"exif": _metadata()["exif"], "artist": SECRET}, 1),
        ("RGB", {"big_tiff": True}, 1),
        ("L", {}, 3),
    ],
    "GIF": [
        ("L", {}, 1),
        ("P", {"transparency": 1}, 1),
        ("P", {"interlace": 1, "comment": SECRET}, 1),
        ("P", {}, 3),
    ],
    "PPM": [(mode, {}, 1) for mode in ("1", "L", "RGB", "I;16", "F")],
    "JPEG2000": [
        ("L", {}, 1),
        ("RGB", {}, 1),
        ("RGBA", {}, 1),
        ("RGB", {"no_jp2": True}, 1),
        ("I;16", {}, 1),
    ],
    "AVIF": [
        ("RGB", {"quality": 60}, 1),
        ("RGBA", {"quality": 60}, 1),
        ("RGB", {**_metadata()}, 1),
        ("RGB", {}, 2),
    ],
}
