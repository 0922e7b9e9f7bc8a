"""One picture or several: previews count for nothing, frames and pages do."""

import io

import numpy as np
import PIL.Image
import pytest
from picture_files import file_of, noise

from hipmr_hf import MixingUp
from hipmr_hf.errors import ImageReadingError
from hipmr_hf.images.reading import read_image

FIRST, SECOND, SMALL = noise(32, 48), 255 - noise(32, 48), noise(8, 12)
DISPARITY, THUMBNAIL = 0x020002, 0x010001


def mpo(kind: int) -> bytes:
    """A JPEG that holds a second one of this kind; Pillow writes the kind "undefined"."""
    file = file_of(FIRST, "MPO", save_all=True, append_images=[PIL.Image.fromarray(SECOND)])
    second_entry = file.index(b"MPF\0") + 4 + 50 + 16  # the mark, head and directory, the first entry
    return file[:second_entry] + kind.to_bytes(4, "little") + file[second_entry + 4 :]


def tiff(*pages: tuple[np.ndarray, int]) -> bytes:
    """A TIFF of pages, each with its NewSubfileType."""
    images = [PIL.Image.fromarray(pixels) for pixels, _ in pages]
    for image, (_, kind) in zip(images, pages, strict=True):
        image.encoderinfo = {"tiffinfo": {254: kind}}
    first = {"tiffinfo": {254: pages[0][1]}}
    return file_of(images[0], "TIFF", save_all=True, append_images=images[1:], **first)


def by_both_sides(file: bytes) -> list[np.ndarray]:
    """What the owner's side reads, and what the client's side prepares."""
    with PIL.Image.open(io.BytesIO(file)) as image:
        return [read_image(file), MixingUp(patch_size=4).prepare(image)]


@pytest.mark.parametrize("kind", [0, THUMBNAIL])
def test_a_jpeg_with_a_preview_is_its_first_picture(kind):
    file = mpo(kind)
    assert PIL.Image.open(io.BytesIO(file)).n_frames == 2
    for pixels in by_both_sides(file):
        assert (pixels == read_image(file_of(FIRST, "JPEG"))).all()


def test_the_views_of_a_stereo_pair_are_two_pictures():
    with pytest.raises(ImageReadingError, match="several frames"):
        by_both_sides(mpo(DISPARITY))


@pytest.mark.parametrize(
    "pages",
    [[(FIRST, 0), (SMALL, 1), (SMALL[:4], 1)], [(SMALL, 1), (FIRST, 0)], [(FIRST, 2), (SMALL, 3)]],
    ids=["overviews", "thumbnail first", "a page of several, and its overview"],
)
def test_a_tiff_with_reduced_pages_is_the_page_that_they_are_made_of(pages):
    for pixels in by_both_sides(tiff(*pages)):
        assert (pixels == FIRST).all()


@pytest.mark.parametrize(
    "pages",
    [[(FIRST, 0), (SECOND, 0)], [(FIRST, 2), (SECOND, 2)], [(SMALL, 1), (FIRST, 0), (SECOND, 0)]],
)
def test_a_scan_of_several_pages_is_refused_on_both_sides(pages):
    file = tiff(*pages)
    with pytest.raises(ImageReadingError, match="several frames"):
        read_image(file)
    with PIL.Image.open(io.BytesIO(file)) as image, pytest.raises(ImageReadingError, match="several frames"):
        MixingUp(patch_size=4)(image)


def test_a_thumbnail_without_its_picture_is_refused():
    raw = file_of(SMALL, "TIFF", tiffinfo={254: 1, 330: 8})  # as in a camera's raw files
    with pytest.raises(ImageReadingError, match="preview alone"):
        read_image(raw)
    assert (read_image(file_of(SMALL, "TIFF", tiffinfo={254: 1})) == SMALL).all()


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_refused_on_the_clients_side_too(image_format):
    file = file_of(FIRST, image_format, save_all=True, append_images=[PIL.Image.fromarray(SECOND)])
    with PIL.Image.open(io.BytesIO(file)) as image, pytest.raises(ImageReadingError, match="several frames"):
        MixingUp(patch_size=4)(image)
