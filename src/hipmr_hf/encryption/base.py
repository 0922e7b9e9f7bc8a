"""What both encryptions do alike: place an image, draw randomness, turn and mix patches where they stand."""

import dataclasses
import json
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from ..errors import InputTypeError, InputValueError
from . import keys, patches
from .checks import MAX_SIDE, check_array, check_whole
from .keys import SecretKey
from .placement import Placement, load_upright, place, resize_and_centre_crop, whole_patches
from .settings_file import SettingsFile

ImageLike = TypeVar("ImageLike", Image.Image, np.ndarray)

# Images are worked on in blocks of about this size, so that all steps after the first find them in the cache.
_BLOCK_BYTES = 3 * 2**18


class Draw(NamedTuple):
    """The randomness of one batch."""

    permutations: np.ndarray | None  # (batch, rows * cols)
    turns: np.ndarray | None  # (batch, rows, cols, sub_patch_grid, sub_patch_grid)

    def part(self, images: slice) -> "Draw":
        """Return the randomness of some images of the batch."""
        return Draw(*(None if values is None else values[images] for values in self))


@dataclasses.dataclass(frozen=True)
class Encryption(SettingsFile):
    """What RS and MI share; load settings of either kind with `Encryption.from_pretrained`."""

    def __post_init__(self) -> None:
        if type(self) is Encryption:
            raise InputTypeError("Encryption holds no settings of its own; use RandomShuffling or MixingUp.")
        check_whole("patch_size", self.patch_size, minimum=1, maximum=MAX_SIDE)
        check_whole("sub_patch_grid", self.sub_patch_grid, minimum=1, maximum=16)
        for name in ("sub_patch_symmetries", "patch_normalization"):
            if not isinstance(getattr(self, name), bool):
                raise InputTypeError(f"{name}: got {getattr(self, name)!r}, expected True or False.")
        if isinstance(self.image_size, list):  # JSON has no tuples
            object.__setattr__(self, "image_size", tuple(self.image_size))

    @property
    def encrypted_patch_size(self) -> int:
        """Width in pixels of a patch in the encrypted image: the `patch_size` of a model for it."""
        return self._kept_size // self.sub_patch_grid

    @property
    def draws_randomness(self) -> bool:
        """Whether two encryptions of one image differ; a key is of use only then."""
        return self._shuffles or self.sub_patch_symmetries

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

    def prepare(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """Resize (bicubic) and crop one image, as it is encrypted: uint8 (height, width, channels).

        A PIL image is turned upright as its EXIF orientation says and converted to RGB first.

        Raises:
            TypeError: neither a PIL image nor a uint8 (height, width, channels) array.
            ValueError: a PIL mode that needs care, or an image smaller than one patch.
        """
        pixels = load_upright(image)
        return place(pixels, self.placement(*pixels.shape[:2]))

    def __call__(
        self, image: ImageLike, *, key: SecretKey | bytes | None = None, nonce: bytes | None = None
    ) -> ImageLike:
        """Encrypt one image.

        Args:
            image: PIL image or uint8 (height, width, channels) array of any size.
            key: with it, the permutation can be drawn again; without it nobody can undo it.
            nonce: 16 bytes of this image alone, from `new_nonce()`; needed with a key.

        Returns:
            What came in, a PIL image (RGB, without metadata) or an array, encrypted.

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
        return Image.fromarray(encrypted) if isinstance(image, Image.Image) else encrypted

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
        """Read permutations and then turns off one stream per image."""
        if not self.draws_randomness:
            return Draw(None, None)
        grid = self.sub_patch_grid
        shuffled = keys.WORD_BYTES * rows * cols if self._shuffles else 0
        turned = rows * cols * grid * grid if self.sub_patch_symmetries else 0
        if key is None:
            streams = keys.fresh_streams(count, shuffled + turned)
        else:
            streams = keys.as_key(key).streams(nonces, self._stream_info(), shuffled + turned)
        permutations = keys.permutations_from(streams[:, :shuffled]) if shuffled else None
        turns = None
        if turned:
            turns = (streams[:, shuffled:] % patches.NUM_SYMMETRIES).reshape(count, rows, cols, grid, grid)
        return Draw(permutations, turns)

    def _stream_info(self) -> bytes:
        # Part of the stored data's meaning: a change here makes every keyed dataset undecryptable.
        settings = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
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

    def _encrypt_in_place(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """Turn, mix and normalise eroded patches where they stand: everything but the shuffling."""
        grid, kept = self.sub_patch_grid, self._kept_size
        if draw.turns is not None:
            images = patches.turn_sub_patches(images, draw.turns, patch_size=kept, grid=grid)
        if grid > 1:
            images = patches.sum_sub_patches(images, patch_size=kept, grid=grid)
        if self.patch_normalization:
            return patches.normalize_patches(images, patch_size=kept // grid, count=grid * grid)
        return patches.mean_of_sub_patches(images, grid=grid) if grid > 1 else images

    def decrypt(
        self, image: ImageLike, *, key: SecretKey | bytes | None = None, nonce: bytes | None = None
    ) -> ImageLike:
        """Undo a keyed RS that lost nothing: no interval, drop, mixing or normalisation.

        Args:
            image: the encrypted PIL image or uint8 array.
            key: the key it was encrypted with; another key gives a wrongly ordered image.
            nonce: the nonce stored with the image.

        Returns:
            The prepared (resized and cropped) image, of the kind that came in.

        Raises:
            ValueError: these settings, or an encryption without a key, cannot be undone.
        """
        raise InputValueError(
            f"{type(self).__name__} cannot be decrypted: the mean of sub-patches has no inverse; "
            "keep the plain images, or encrypt with RandomShuffling and a key."
        )
