"""Whether a file holds one picture or several: previews of it are no other pictures."""

import PIL.Image

_SUBFILE_TYPE_TAG, _SUB_DIRECTORIES_TAG = 0x00FE, 0x014A
_REDUCED = 1  # TIFF 6.0, NewSubfileType, bit 0: a reduced-resolution version of another page
_MOST_PAGES = 64  # looked at; pyramids have about ten
# CIPA DC-007, 5.2.3.3.1: what an individual image is. Panoramas, pairs of stereo views and multi-angle shots
# are pictures in their own right; previews, and what the maker does not define (gain maps, depth), are none.
_MP_ENTRIES, _MP_PICTURES = 0xB002, "Multi-Frame Image"
_SEVERAL = (
    "the image has several frames, and one encrypted image can hold only one; save the wanted frame as its "
    "own image first."
)
_PREVIEW = (
    "the image is a preview alone: the picture lies where Pillow does not look, as in a camera's raw files; "
    "convert it to PNG or TIFF first."
)


def choose_picture(image: PIL.Image.Image) -> str | None:
    """Bring an image to the one picture that it holds.

    A JPEG with previews or a gain map (MPO) counts as its first picture, a TIFF with pages of reduced
    resolution as the page that they are made of.

    Args:
        image: of Pillow; of a TIFF, that page is the current one afterwards.

    Returns:
        None, or why there is no such picture: it is an animation, a scan of several pages, several views of
        a scene; or only a preview can be read.

    Example:

        >>> choose_picture(PIL.Image.new("RGB", (4, 4)))
    """
    if image.format == "TIFF" and hasattr(image, "tag_v2"):
        return _choose_page(image)
    if not getattr(image, "is_animated", False):
        return None
    if image.format == "MPO":
        image.seek(0)
        kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[_MP_ENTRIES]]
        return _SEVERAL if any(kind.startswith(_MP_PICTURES) for kind in kinds) else None
    return _SEVERAL


def _choose_page(image: PIL.Image.Image) -> str | None:
    if not image.is_animated:
        return _PREVIEW if _is_reduced(image) and _SUB_DIRECTORIES_TAG in image.tag_v2 else None
    pages = []
    for number in range(_MOST_PAGES + 1):
        try:
            image.seek(number)
        except EOFError:
            break
        if number == _MOST_PAGES or (pages and not _is_reduced(image)):
            return _SEVERAL
        if not _is_reduced(image):
            pages.append(number)
    image.seek(pages[0] if pages else 0)
    return None if pages else _PREVIEW


def _is_reduced(image: PIL.Image.Image) -> bool:
    subfile_type = image.tag_v2.get(_SUBFILE_TYPE_TAG)
    return isinstance(subfile_type, int) and bool(subfile_type & _REDUCED)
