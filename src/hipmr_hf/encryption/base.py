"""What both encryptions do alike: place an image, draw randomness, turn and mix patches where they stand."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from ..errors import InputTypeError, InputValueError
from . import fused, keys, orders, patches, tones
from .checks import MAX_SIDE, check_array, check_whole
from .decoding import Sized, check_decoding
from .draw import Draw
from .placement import Placement, load_upright, place, resize_and_centre_crop, whole_patches
from .settings_file import SettingsFile

if TYPE_CHECKING:
    from .keys import SecretKey

ImageLike = TypeVar("ImageLike", Image.Image, np.ndarray)

# Images are worked on in blocks of about this size, so that all steps after the first find them in the cache.
_BLOCK_BYTES = 3 * 2**18

# Settings that lose no pixel; any other value of one of them cannot be undone, whatever the key.
_LOSSLESS = {
    "interval": 0,
    "drop_ratio": 0.0,
    "sub_patch_grid": 1,
    "patch_normalization": False,
    "shuffle_tones": False,
}


@dataclasses.dataclass(frozen=True)
class Encryption(SettingsFile):
    """What RS and MI share; load settings of either kind with `Encryption.from_pretrained`."""

    def __post_init__(self) -> None:
        if type(self) is Encryption:
            raise InputTypeError("Encryption holds no settings of its own; use RandomShuffling or MixingUp.")
        check_whole("patch_size", self.patch_size, minimum=1, maximum=MAX_SIDE)
        check_whole("sub_patch_grid", self.sub_patch_grid, minimum=1, maximum=16)
        for name in ("sub_patch_symmetries", "patch_normalization", "shuffle_tones"):
            if not isinstance(getattr(self, name), bool):
                raise InputTypeError(f"{name}: got {getattr(self, name)!r}, expected True or False.")
        check_decoding(self.jpeg_decoding)
        if self.shuffle_tones and self.patch_normalization:
            raise InputValueError(
                "shuffle_tones, patch_normalization: got True for both, but normalization leaves no tones to "
                "shuffle; choose one of them."
            )
        if isinstance(self.image_size, list):  # JSON has no tuples
            object.__setattr__(self, "image_size", tuple(self.image_size))

    @property
    def encrypted_patch_size(self) -> int:
        """Width in pixels of a patch in the encrypted image: the `patch_size` of a model for it."""
        return self._kept_size // self.sub_patch_grid

    @property
    def draws_randomness(self) -> bool:
        """Whether two encryptions of one image differ; a key is of use only then."""
        return self._shuffles or self.sub_patch_symmetries or self.shuffle_tones

    @property
    def losses(self) -> tuple[str, ...]:
        """The settings that lose pixels for good, such as "interval=2"; with none of them a key can undo it.

        Resizing and cropping come before the encryption, and are never undone.

        Example:

            >>> from hipmr_hf import MixingUp, RandomShuffling
            >>> RandomShuffling(interval=2).losses, MixingUp().losses, RandomShuffling().losses
            (('interval=2',), ('sub_patch_grid=2',), ())
        """
        given = {name: getattr(self, name, lossless) for name, lossless in _LOSSLESS.items()}
        return tuple(f"{name}={value}" for name, value in given.items() if value != _LOSSLESS[name])

    # Kept width of a plain patch, and whether patches leave their places; RS says otherwise.
    @property
    def _kept_size(self) -> int:
        return self.patch_size

    @property
    def _shuffles(self) -> bool:
        return False

    @property
    def _fixed_size(self) -> tuple[int, int] | None:
        size = self.image_size
        return (size, size) if isinstance(size, int) else size

    def placement(self, height: int, width: int) -> Placement:
        """Tell where an image of this size lands: resize of the shorter side, then a centre crop.

        Raises:
            ValueError: the image is smaller than one patch.
        """
        if min(height, width) < self.patch_size:
            raise InputValueError(
                f"image: got {height}x{width} pixels (height x width), which is smaller than one patch of "
                f"{self.patch_size}; leave it out or choose a smaller patch_size."
            )
        if self._fixed_size is None:
            return whole_patches(height, width, patch_size=self.patch_size)
        return resize_and_centre_crop(height, width, target=self._fixed_size)

    def prepare(self, image: Image.Image | np.ndarray | str | os.PathLike[str]) -> np.ndarray:
        """Resize (bicubic) and crop one image, as it is encrypted: uint8 (height, width, channels).

        A PIL image, or the file at a path, is read as on the owner's side (`images.reading.read_image`):
        upright, in RGB, over white where it is transparent. An array keeps its channels. A JPEG is decoded as
        `jpeg_decoding` says, unless Pillow has loaded it already: then all of its pixels are used, which are
        about 50 dB from those of a reduced decoding. Give the path, or what `PIL.Image.open` returns, for the
        very pixels that an owner's run makes.

        Raises:
            TypeError: neither a path, a PIL image nor a uint8 (height, width, channels) array.
            OSError: there is no such file.
            ValueError: a PIL image that `read_image` refuses, or an image smaller than one patch.
        """
        if isinstance(image, list | tuple):
            raise InputTypeError(
                f"image: got a {type(image).__name__}, expected one image; several go through "
                "encrypt_batch(np.stack([encryption.prepare(image) for image in images]))."
            )
        sized = Sized(self)
        pixels = load_upright(image, sized)
        placement = self.placement(*(sized.size or pixels.shape[:2]))
        return place(pixels, placement, stretches=sized.stretches(pixels))

    def __call__(
        self,
        image: ImageLike | str | os.PathLike[str],
        *,
        key: SecretKey | bytes | None = None,
        nonce: bytes | None = None,
    ) -> ImageLike:
        """Encrypt one image.

        Args:
            image: PIL image, path of a picture, or uint8 (height, width, channels) array; of any size.
            key: with it, the permutation can be drawn again; without it nobody can undo it.
            nonce: 16 bytes of this image alone, from `new_nonce()`; needed with a key.

        Returns:
            What came in, a PIL image (RGB, without metadata; for a path too) or an array, encrypted.

        Raises:
            NonceReuseError: the nonce was used with this key before.
            TypeError, ValueError: see `prepare`; or a key without a nonce, or a nonce without a key.
        """
        if (key is None) != (nonce is None):
            raise InputValueError(
                f"{'nonce' if nonce is None else 'key'}: got None, but a key and a nonce go together; "
                "draw a nonce per image with new_nonce() and keep it with the encrypted image."
            )
        nonces = None if nonce is None else [nonce]
        encrypted = self.encrypt_batch(self.prepare(image)[None], key=key, nonces=nonces)[0]
        return encrypted if isinstance(image, np.ndarray) else Image.fromarray(encrypted)

    def encrypt_batch(
        self,
        images: np.ndarray,
        *,
        key: SecretKey | bytes | None = None,
        nonces: Sequence[bytes] | None = None,
        remember_nonces: bool = True,
    ) -> np.ndarray:
        """Encrypt images that `prepare` made, each with randomness of its own.

        Args:
            images: uint8 (batch, height, width, channels), of the size that `prepare` returns.
            key: as for one image.
            nonces: one per image; needed with a key.
            remember_nonces: refuse the nonces if they come again in this process. Only a caller that draws
                every nonce itself may turn it off, to save about 100 bytes an image.

        Returns:
            uint8 (batch, encrypted height, encrypted width, channels).

        Raises:
            NonceReuseError: a nonce was used with this key before, or stands twice in the batch.
            TypeError, ValueError: images of another type, shape or size; a key without nonces; nonces
                without a key; a key for settings that draw no randomness.
        """
        check_array("images", images, "(batch, height, width, channels)", 4)
        self._check_size(*images.shape[1:3])
        rows, cols = (side // self.patch_size for side in images.shape[1:3])
        self._check_key(key, nonces, len(images))
        if key is not None and remember_nonces:
            keys.claim_nonces(keys.as_key(key), nonces)
        draw = self._draw(len(images), rows, cols, key, nonces)
        return self._encrypt(np.ascontiguousarray(images), draw)

    def _check_size(self, height: int, width: int) -> None:
        expected = self._fixed_size
        if expected is not None and (height, width) != expected:
            raise InputValueError(
                f"images: got {height}x{width} pixels, expected {expected[0]}x{expected[1]} (image_size); "
                "bring images of other sizes to it with prepare(image) first."
            )
        if height % self.patch_size or width % self.patch_size or not height * width:
            raise InputValueError(
                f"images: got {height}x{width} pixels, which are not whole patches of {self.patch_size}; "
                "crop them with prepare(image) first."
            )

    def _check_key(self, key: SecretKey | bytes | None, nonces: Sequence[bytes] | None, count: int) -> None:
        if key is None:
            if nonces is not None:
                raise InputValueError(
                    "nonces: got nonces without a key; pass the key, or leave the nonces out."
                )
            return
        if not self.draws_randomness:
            raise InputValueError(
                "key: these settings draw no randomness, so a key has no effect; leave it out."
            )
        keys.as_key(key)
        keys.check_nonces(nonces, count)

    def _draw(
        self, count: int, rows: int, cols: int, key: SecretKey | bytes | None, nonces: Sequence[bytes] | None
    ) -> Draw:
        """Read permutations, then turns, then the order of the tones off one stream per image.

        Orders that stand still (see `orders`) are read again: permutations, then the order of the tones, off
        the bytes that follow; the turns stay.
        """
        if not self.draws_randomness:
            return Draw(None, None, None)
        grid, words = self.sub_patch_grid, keys.WORD_BYTES * rows * cols
        shuffled, dealt = words * self._shuffles, words * self.shuffle_tones
        turned = rows * cols * grid * grid * self.sub_patch_symmetries

        def read(images: np.ndarray, start: int, stop: int) -> np.ndarray:
            if key is None:
                return keys.fresh_streams(len(images), stop - start)
            chosen = [nonces[image] for image in images]
            return keys.as_key(key).streams(chosen, self._stream_info(), stop)[:, start:]

        end = shuffled + turned + dealt
        streams = read(np.arange(count), 0, end)
        shuffling, turning, dealing = np.split(streams, [shuffled, shuffled + turned], axis=1)
        permutations = keys.permutations_from(shuffling) if shuffled else None
        turns = (turning % patches.NUM_SYMMETRIES).reshape(count, rows, cols, grid, grid) if turned else None
        draw = Draw(permutations, turns, keys.permutations_from(dealing) if dealt else None)
        while len(still := self._standing_still(draw)):
            again = read(still, end, end + shuffled + dealt)
            end += shuffled + dealt
            for order, part in ((draw.permutations, again[:, :shuffled]), (draw.tones, again[:, shuffled:])):
                if order is not None:
                    order[still] = keys.permutations_from(part)
        return draw

    def _standing_still(self, draw: Draw) -> np.ndarray:
        """Number the images whose orders are to be drawn again."""
        order = draw.tones if draw.permutations is None else draw.permutations
        if order is None:  # only turns
            return np.arange(0)
        kept = self.num_patches if self._shuffles else order.shape[1]
        if kept >= orders.FEW_PATCHES:
            return np.arange(0)
        return np.flatnonzero(orders.stand_still(draw.permutations, draw.tones, kept=kept))

    def _stream_info(self) -> bytes:
        # Part of the stored data's meaning: a change here makes every keyed dataset undecryptable.
        # How a picture is decoded says nothing about where its patches go.
        values = {name: value for name, value in self.to_dict().items() if name != "jpeg_decoding"}
        settings = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return b"hipmr-hf stream|" + settings.encode()

    def _encrypt(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        batch, height, width, channels = images.shape
        size = self.encrypted_size or (height // self.sub_patch_grid, width // self.sub_patch_grid)
        encrypted = np.empty((batch, *size, channels), np.uint8)
        step = max(1, _BLOCK_BYTES // max(1, images[:1].nbytes))
        for start in range(0, batch, step):
            block = slice(start, start + step)
            self._encrypt_block(images[block], draw.part(block), encrypted[block])
        return encrypted

    def _encrypt_block(self, images: np.ndarray, draw: Draw, out: np.ndarray) -> None:
        raise NotImplementedError

    def _encrypt_fused(
        self, images: np.ndarray, positions: np.ndarray, mosaic_cols: int, draw: Draw, out: np.ndarray
    ) -> bool:
        """Change and place patches in compiled loops where that is worth it, and tell whether it was."""
        if not fused.is_worth_it(images):
            return False
        interval, knobs = self.patch_size - self._kept_size, (self.patch_normalization, self.shuffle_tones)
        plan = (self.patch_size, interval, self.sub_patch_grid, *knobs, self._shuffles)
        order = self._order_of_tones(draw) if self.shuffle_tones else None
        places = {"positions": positions, "mosaic_cols": mosaic_cols}
        fused.encrypt(images, fused.Plan(*plan), **places, turns=draw.turns, order=order, out=out)
        return True

    def _encrypt_in_place(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """Turn and mix eroded patches where they stand, and change their tones: all but the shuffling."""
        grid, kept = self.sub_patch_grid, self._kept_size
        if draw.turns is not None:
            images = patches.turn_sub_patches(images, draw.turns, patch_size=kept, grid=grid)
        if grid > 1:
            images = patches.sum_sub_patches(images, patch_size=kept, grid=grid)
        if self.patch_normalization:
            return patches.normalize_patches(images, patch_size=kept // grid, count=grid * grid)
        if self.shuffle_tones:
            order = self._order_of_tones(draw)
            return tones.deal_tones(images, order, patch_size=kept // grid, count=grid * grid)
        return patches.mean_of_sub_patches(images, grid=grid) if grid > 1 else images

    def _order_of_tones(self, draw: Draw) -> np.ndarray:
        """(batch, rows * cols): the patch whose tone each patch gets where it stands."""
        return draw.tones

    def decrypt(
        self, image: ImageLike, *, key: SecretKey | bytes | None = None, nonce: bytes | None = None
    ) -> ImageLike:
        """Undo a keyed RS that lost nothing: no interval, drop, mixing, normalisation or dealt tones.

        Args:
            image: the encrypted PIL image or uint8 array.
            key: the key it was encrypted with; another key gives a wrongly ordered image.
            nonce: the nonce stored with the image.

        Returns:
            The prepared (resized and cropped) image, of the kind that came in.

        Raises:
            ValueError: these settings, or an encryption without a key, cannot be undone.
        """
        raise InputValueError(self._cannot_be_undone())

    def _cannot_be_undone(self) -> str:
        return (
            f"{type(self).__name__} cannot be decrypted: {', '.join(self.losses)} lost pixels for good; keep "
            "the plain images, or encrypt with RandomShuffling, a key, and none of these."
        )
