"""Image processor of PEViT: encrypted images in, normalised pixel values out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import (
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    ImageInput,
    make_flat_list_of_images,
)
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType, is_torch_available, logging

if TYPE_CHECKING and is_torch_available():
    import torch

logger = logging.get_logger(__name__)

_REFUSED = (
    "do_resize",
    "size",
    "do_center_crop",
    "crop_size",
    "do_pad",
    "pad_size",
    "resample",
    "default_to_square",
)
_HOW_TO_ENCRYPT = (
    "This processor takes encrypted images only. Encrypt where the plain images live, with the settings that "
    "the model was trained on: `RandomShuffling.from_pretrained(checkpoint)(image)` or "
    "`MixingUp.from_pretrained(checkpoint)(image)` of hipmr_hf read them from the checkpoint's "
    "`encryption_config.json`."
)
# Patches of a plain picture continue each other: steps between pixels are as large across their borders as
# inside. The median of the ratio is .99 to 1.02 for plain photographs, 1.56 to 15 for encrypted ones.
_PLAIN_RATIO = 1.1
# Above it an image is noise rather than a picture, and its borders tell nothing.
_MAX_ROUGHNESS = 0.5
_PAIRS = 4000
# Pictures of a call that are looked at. All must look plain, as one may by chance, such as a grainy sky.
_LOOKED_AT = 8


class PEViTImageProcessorKwargs(ImagesKwargs, total=False):
    """Arguments of [`PEViTImageProcessorPil`]: those of every image processor, and two sizes in pixels."""

    patch_size: int
    encrypted_size: tuple[int, int] | list[int] | None


class PEViTImageProcessorPil(PilBackend):
    r"""Rescales and normalises encrypted images.

    It never resizes, crops or pads, which would destroy the patches, and it never encrypts: where a server
    does that, it has already seen the plain image.

    Args:
        patch_size (`int`, defaults to 16): Width in pixels of an encrypted patch
            (`encryption.encrypted_patch_size`).
        do_convert_rgb (`bool`, defaults to `True`): Whether to convert other image modes to RGB.
        do_rescale (`bool`, defaults to `True`): Whether to multiply by `rescale_factor`.
        rescale_factor (`float`, defaults to 1/255): From 8-bit grey levels to [0, 1].
        do_normalize (`bool`, defaults to `True`): Whether to subtract `image_mean` and divide by `image_std`.
        image_mean (`float` or `list[float]`, defaults to 0.5): Mean per channel, after rescaling.
        image_std (`float` or `list[float]`, defaults to 0.5): Standard deviation per channel, after
            rescaling.

    The default mean and deviation map grey levels to [-1, 1] and nothing more: ImageNet's figures describe
    plain photos, while mixed-up or normalised patches have a mean of about 0.5 and less contrast. For
    weights of the published program pass ImageNet's, as in DeiT's recipe.

    Raises:
        ValueError: If an image is not whole patches or not of the encrypted size, if a batch that is to
            become one tensor has several sizes, or if an argument asks for resizing, cropping or padding.

    Example:

    >>> processor = PEViTImageProcessorPil(patch_size=8)
    >>> encrypted = [np.zeros((32, 48, 3), dtype=np.uint8)] * 2
    >>> processor(encrypted, return_tensors="np").pixel_values.shape
    (2, 3, 32, 48)
    """

    valid_kwargs = PEViTImageProcessorKwargs
    model_input_names: list[str] = ["pixel_values"]  # noqa: RUF012
    patch_size = 16
    encrypted_size = None
    do_convert_rgb = True
    do_rescale = True
    rescale_factor: float = 1 / 255
    do_normalize = True
    image_mean = IMAGENET_STANDARD_MEAN  # 0.5 per channel
    image_std = IMAGENET_STANDARD_STD  # 0.5 per channel

    def __init__(self, **kwargs: Unpack[PEViTImageProcessorKwargs]):
        _refuse_geometry(kwargs)
        super().__init__(**kwargs)
        if self.patch_size < 1:
            raise ValueError(f"`patch_size` must be a positive integer, got {self.patch_size}.")
        size = self.encrypted_size
        if size is not None and (len(size) != 2 or any(s < 1 or s % self.patch_size for s in size)):
            raise ValueError(
                f"`encrypted_size` must be (height, width) in whole patches of {self.patch_size} pixels, got "
                f"{size}. Give `encryption.encrypted_size` and `encryption.encrypted_patch_size`."
            )

    def to_dict(self) -> dict[str, Any]:
        """Settings alone. Which class reads them, `config.json` tells.

        Told here as well, `pipeline` looks for a video processor in the checkpoint's own code and asks
        whether to trust it, even where this package is installed.
        """
        kept_out = ("auto_map", "image_processor_type")
        return {name: value for name, value in super().to_dict().items() if name not in kept_out}

    def preprocess(
        self, images: ImageInput, *args: Any, **kwargs: Unpack[PEViTImageProcessorKwargs]
    ) -> BatchFeature:
        """Rescale and normalise encrypted images.

        Args:
            images: One image or a list, batch or array of encrypted images: PIL, uint8 (H, W, C) or (C, H,
                W) arrays, tensors.
            args: Nothing; kept for the signature of the base class.
            kwargs: Any argument of the processor, for this call; `return_tensors` "np" or "pt";
                `input_data_format`.

        Returns:
            `pixel_values` float32: (batch, channels, height, width), or without `return_tensors` a list of
            (channels, height, width).
        """
        _refuse_geometry(kwargs)
        return super().preprocess(images, *args, **kwargs)

    def _preprocess(
        self,
        images: list[np.ndarray],
        patch_size: int,
        encrypted_size: tuple[int, int] | list[int] | None,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | tuple[float, ...] | None,
        image_std: float | tuple[float, ...] | None,
        return_tensors: str | TensorType | None,
        **kwargs: Any,
    ) -> BatchFeature:
        """`images` are (channels, height, width)."""
        for image in images:
            _check_whole_patches(image, patch_size)
            _check_size(image, encrypted_size)
        self._warn_of_plain_pictures(images, patch_size)
        # Both steps are one (x - shift) * scale per channel, applied to the whole batch at once.
        factor = rescale_factor if do_rescale else 1.0
        mean, std = (image_mean, image_std) if do_normalize else (0.0, 1.0)
        shift, scale = _per_channel(mean) / factor, factor / _per_channel(std)
        if len({image.shape for image in images}) == 1:
            pixel_values = _shift_and_scale(np.stack(images), shift, scale)
            return BatchFeature(
                {"pixel_values": pixel_values if return_tensors else list(pixel_values)}, return_tensors
            )
        if return_tensors is not None:
            sizes = sorted({image.shape[1:] for image in images})
            raise ValueError(
                f"A batch that becomes one tensor needs images of one size, got (height, width) {sizes}. "
                "Group the images by size, or leave `return_tensors` out to get a list."
            )
        return BatchFeature({"pixel_values": [_shift_and_scale(image, shift, scale) for image in images]})

    def post_process_semantic_segmentation(
        self,
        outputs: Any,
        target_sizes: "torch.Tensor | Sequence[tuple[int, int]] | None" = None,
        return_segmentation_scores: bool = False,
    ) -> list[Any]:
        """Turn a model's output into the class of every pixel.

        Args:
            outputs: What [`PEViTForSemanticSegmentation`] returns: `logits`.
            target_sizes: (height, width) to resize the logits of each image to, bilinearly; such as the plain
                image's, where nothing was cropped. By default the encrypted image's.
            return_segmentation_scores: Return transformers' `SemanticSegmentationPostProcessorOutput` with
                the logits beside the class ids.

        Returns:
            For each image class ids, int64 (height, width); or `segmentation`, the same, and
            `segmentation_scores` (num_labels, height, width).

        Raises:
            ValueError: If there is not one target size per image.
        """
        scores = list(outputs.logits)
        if target_sizes is not None:
            if len(target_sizes) != len(scores):
                raise ValueError(
                    f"`target_sizes` must hold one (height, width) per image, got {len(target_sizes)} for "
                    f"{len(scores)} images."
                )
            if is_torch_available():  # it is, for there are logits; so the processor alone does not need it
                from torch.nn.functional import interpolate
            sizes = [tuple(int(side) for side in size) for size in target_sizes]
            scores = [
                interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
                for image, size in zip(scores, sizes, strict=True)
            ]
        classes = [image.argmax(dim=0) for image in scores]
        if not return_segmentation_scores:
            return classes
        from transformers.image_processing_outputs import SemanticSegmentationPostProcessorOutput

        both = zip(classes, scores, strict=True)
        return [
            SemanticSegmentationPostProcessorOutput({"segmentation": found, "segmentation_scores": logits})
            for found, logits in both
        ]

    def looks_plain(self, images: ImageInput) -> bool:
        """Tell whether pictures look plain: their patches continue each other across all borders.

        A server can refuse such pictures. Most plain photographs are told, and not all: noise, flat pictures
        and patches below 4 pixels tell nothing and pass.

        Args:
            images: One image or a list, as the processor takes them, in whole patches.

        Returns:
            `True` if those of the first eight that can be told all look plain.

        >>> ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3))
        >>> PEViTImageProcessorPil(patch_size=16).looks_plain(ramp)
        True
        """
        pictures = make_flat_list_of_images(images)[:_LOOKED_AT]
        return _look_plain(
            [self.process_image(picture, do_convert_rgb=self.do_convert_rgb) for picture in pictures],
            self.patch_size,
        )

    def _warn_of_plain_pictures(self, images: list[np.ndarray], patch_size: int) -> None:
        if _look_plain(images, patch_size):
            logger.warning_once(
                "A picture may be plain: its patches continue each other. The model's answers to plain "
                "pictures are wrong, and whoever runs the model has been shown the picture. "
                f"{_HOW_TO_ENCRYPT}"
            )


def _look_plain(images: Sequence[np.ndarray], patch_size: int) -> bool:
    ratios = [border_ratio(image, patch_size) for image in images[:_LOOKED_AT]]
    told = [ratio for ratio in ratios if ratio is not None]
    return bool(told) and max(told) < _PLAIN_RATIO


def _refuse_geometry(kwargs: dict[str, Any]) -> None:
    refused = {name: kwargs[name] for name in _REFUSED if kwargs.get(name)}
    if refused:
        raise ValueError(
            f"An encrypted image must keep its pixels, so {refused} is refused: resizing, cropping and "
            f"padding belong before the encryption. {_HOW_TO_ENCRYPT}"
        )


def _check_whole_patches(image: np.ndarray, patch_size: int) -> None:
    height, width = image.shape[-2:]
    if height % patch_size or width % patch_size or not image.size:
        raise ValueError(
            f"The image is {height}x{width} pixels (height x width), not whole patches of `patch_size` "
            f"{patch_size}. "
            f"{_HOW_TO_ENCRYPT}"
        )


def _check_size(image: np.ndarray, encrypted_size: tuple[int, int] | list[int] | None) -> None:
    height, width = image.shape[-2:]
    if encrypted_size is not None and [height, width] != list(encrypted_size):
        raise ValueError(
            f"The image is {height}x{width} pixels (height x width), but every encrypted image of this model "
            f"is {encrypted_size[0]}x{encrypted_size[1]}, so it is plain, or was encrypted in another way. "
            f"{_HOW_TO_ENCRYPT}"
        )


def border_ratio(pixels: np.ndarray, patch_size: int) -> float | None:
    """Compare the steps between neighbouring pixels across patch borders with those inside of patches.

    Args:
        pixels: (channels, height, width), whole patches.
        patch_size: Width in pixels of a patch.

    Returns:
        About 1 for a plain picture, more for patches that do not belong together; `None` where the picture
        cannot tell, because its patches are too small or too few, or it is noise or one colour.

    >>> ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], (3, 64, 64))
    >>> round(border_ratio(ramp, 16), 2)
    1.0
    """
    height, width = pixels.shape[1:]
    if patch_size < 4 or height < 2 * patch_size or width < 2 * patch_size:
        return None
    values = pixels.astype(np.float32)
    down, across = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=2))
    steps = np.concatenate([down.mean(axis=(0, 2)), across.mean(axis=(0, 1))])
    at_border = np.concatenate([np.arange(1, height), np.arange(1, width)]) % patch_size == 0
    border, inner = float(steps[at_border].mean()), float(steps[~at_border].mean())
    # steps between pixels from anywhere; always the same ones, for the answer must not waver
    flat = values.reshape(len(values), -1)
    pairs = np.random.default_rng(0).integers(0, flat.shape[1], (2, _PAIRS))
    spread = float(np.abs(flat[:, pairs[0]] - flat[:, pairs[1]]).mean())
    if inner == 0 or inner > _MAX_ROUGHNESS * spread:
        return None
    return border / inner


def _per_channel(value: float | tuple[float, ...]) -> np.ndarray:
    return np.asarray(value, dtype=np.float64).reshape(-1, 1, 1)


def _shift_and_scale(pixels: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(pixels - shift) * scale as float32, in one new array."""
    # Shifting first is exact for 8-bit pixels and the usual shifts; scaling first would lose digits to
    # cancellation.
    result = np.subtract(pixels, shift.astype(np.float32), dtype=np.float32, order="C")
    result *= scale.astype(np.float32)
    return result


__all__ = ["PEViTImageProcessorPil"]
