"""Image processor of PEYOLOS: encrypted images and their boxes in, padded pixel values and labels out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import ImageInput
from transformers.processing_utils import Unpack
from transformers.utils import TensorType

from .image_processing_pevit import PEViTImageProcessorKwargs, PEViTImageProcessorPil

if TYPE_CHECKING:
    import torch

Annotation = Mapping[str, Any]


class PEYolosImageProcessorKwargs(PEViTImageProcessorKwargs, total=False):
    """Arguments of [`PEYolosImageProcessorPil`]: those of PEViT's."""


class PEYolosImageProcessorPil(PEViTImageProcessorPil):
    r"""Rescales and normalises mixed-up images, pads them to one size, and makes labels of annotations.

    It never resizes or crops, which would destroy the patches, and it never encrypts: where a server does
    that, it has already seen the plain image. Padding stands at the right and bottom, is zero after
    normalisation, and `pixel_mask` keeps it out of the model.

    Args:
        patch_size (`int`, defaults to 8): Width in pixels of an encrypted patch
            (`encryption.encrypted_patch_size`).
        encrypted_size (`(int, int)`, *optional*): Height and width in pixels of every encrypted image
            (`encryption.encrypted_size`); `None`, where the encryption keeps each image's own size, takes any
            whole patches.
        do_convert_rgb (`bool`, defaults to `True`): Whether to convert other image modes to RGB.
        do_rescale (`bool`, defaults to `True`): Whether to multiply by `rescale_factor`.
        rescale_factor (`float`, defaults to 1/255): From 8-bit grey levels to [0, 1].
        do_normalize (`bool`, defaults to `True`): Whether to subtract `image_mean` and divide by `image_std`.
        image_mean (`float` or `list[float]`, defaults to 0.5): Mean per channel, after rescaling.
        image_std (`float` or `list[float]`, defaults to 0.5): Standard deviation per channel, after
            rescaling.

    For weights of the published program, of YOLOS or of DeiT pass ImageNet's mean and deviation.

    Raises:
        ValueError: If an image is not whole patches or not of the encrypted size, if an argument asks for
            resizing or cropping, or if annotations do not fit the images.

    Example:

    >>> processor = PEYolosImageProcessorPil(patch_size=8)
    >>> encrypted = [np.zeros((32, 48, 3), dtype=np.uint8), np.zeros((40, 24, 3), dtype=np.uint8)]
    >>> inputs = processor(encrypted, return_tensors="np")
    >>> inputs.pixel_values.shape, inputs.pixel_mask.shape, inputs.pixel_mask.sum(axis=(1, 2)).tolist()
    ((2, 3, 40, 48), (2, 40, 48), [1536, 960])
    """

    valid_kwargs = PEYolosImageProcessorKwargs
    model_input_names: list[str] = ["pixel_values", "pixel_mask"]  # noqa: RUF012
    patch_size = 8

    def preprocess(
        self,
        images: ImageInput,
        annotations: Annotation | Sequence[Annotation] | None = None,
        **kwargs: Unpack[PEYolosImageProcessorKwargs],
    ) -> BatchFeature:
        """Rescale, normalise and pad encrypted images, and turn annotations to labels.

        Args:
            images: One image or a list, batch or array of encrypted images: PIL, uint8 (H, W, C) or (C, H,
                W) arrays, tensors.
            annotations: For each image COCO's `{"image_id": int, "annotations": [{"bbox": (x, y, width,
                height), "category_id": int}, ...]}`, in pixels of the encrypted image; objects may have
                "area" and "iscrowd", and `image_id` may be missing. Boxes are clipped to the image; crowds
                and boxes without area are no labels, as in DETR.
            kwargs: Any argument of the processor, for this call; `return_tensors` "np" or "pt";
                `input_data_format`.

        Returns:
            `pixel_values` float32 (batch, channels, height, width) and `pixel_mask` int64 (batch, height,
            width), 1 for pixels of the image; or without `return_tensors` lists of images and masks, not
            padded. With annotations `labels`, a list with a dict for each image: `class_labels` int64
            (objects,), `boxes` float32 (objects, 4) of centre x, centre y, width and height as shares of the
            image without its padding, `area` in pixels, `iscrowd`, `orig_size` (height, width), and
            `image_id` if it was given.
        """
        return super().preprocess(images, annotations, **kwargs)

    def _preprocess(
        self,
        images: list[np.ndarray],
        annotations: Annotation | Sequence[Annotation] | None,
        *,
        return_tensors: str | TensorType | None,
        **kwargs: Any,
    ) -> BatchFeature:
        """`images` are (channels, height, width)."""
        processed = super()._preprocess(images, return_tensors=None, **kwargs)["pixel_values"]
        if return_tensors is None:
            masks = [np.ones(image.shape[1:], dtype=np.int64) for image in processed]
            features = BatchFeature({"pixel_values": processed, "pixel_mask": masks})
        else:
            pixel_values, pixel_mask = _pad_to_one_size(processed)
            features = BatchFeature(
                {"pixel_values": pixel_values, "pixel_mask": pixel_mask}, tensor_type=return_tensors
            )
        if annotations is not None:
            annotations = [annotations] if isinstance(annotations, Mapping) else list(annotations)
            if len(annotations) != len(images):
                raise ValueError(
                    f"`annotations` must hold one entry per image, got {len(annotations)} for {len(images)} "
                    "images. An image without objects has an empty list of annotations."
                )
            labels = [
                _labels_of(annotation, image.shape[1:])
                for annotation, image in zip(annotations, images, strict=True)
            ]
            features["labels"] = [BatchFeature(label, tensor_type=return_tensors) for label in labels]
        return features

    def post_process_object_detection(
        self,
        outputs: Any,
        threshold: float = 0.5,
        target_sizes: "torch.Tensor | Sequence[tuple[int, int]] | None" = None,
    ) -> list[dict[str, "torch.Tensor"]]:
        """Turn a model's output into boxes in pixels.

        Args:
            outputs: What [`PEYolosForObjectDetection`] returns: `logits` and `pred_boxes`.
            threshold: Scores of this or below are left out; between 0 and 1.
            target_sizes: (height, width) of every image without its padding; of the encrypted image, or of
                the plain one to have boxes there. By default boxes are shares of the image.

        Returns:
            For each image `scores` (n,) between 0 and 1, `labels` (n,), and `boxes` (n, 4) of x1, y1, x2, y2,
            in the order of the detection tokens.

        Raises:
            ValueError: If there is not one target size per image.
        """
        logits, boxes = outputs.logits, outputs.pred_boxes
        if target_sizes is not None and len(target_sizes) != len(logits):
            raise ValueError(
                f"`target_sizes` must hold one (height, width) per image, got {len(target_sizes)} for "
                f"{len(logits)} images."
            )
        scores, labels = logits.softmax(-1)[..., :-1].max(-1)
        corners = boxes.clone()
        corners[..., :2] = boxes[..., :2] - boxes[..., 2:] / 2
        corners[..., 2:] = boxes[..., :2] + boxes[..., 2:] / 2
        if target_sizes is not None:
            sizes = [(int(width), int(height)) * 2 for height, width in target_sizes]
            corners = corners * boxes.new_tensor(sizes)[:, None]
        return [
            {"scores": scores[i][kept], "labels": labels[i][kept], "boxes": corners[i][kept]}
            for i, kept in enumerate(scores > threshold)
        ]


def _pad_to_one_size(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(channels, height, width) each to float32 (batch, channels, H, W) and int64 (batch, H, W)."""
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    pixel_values = np.zeros((len(images), images[0].shape[0], height, width), dtype=np.float32)
    pixel_mask = np.zeros((len(images), height, width), dtype=np.int64)
    for i, image in enumerate(images):
        pixel_values[i, :, : image.shape[1], : image.shape[2]] = image
        pixel_mask[i, : image.shape[1], : image.shape[2]] = 1
    return pixel_values, pixel_mask


def _labels_of(annotation: Annotation, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Labels of one image of `size` (height, width) in pixels."""
    if not isinstance(annotation, Mapping) or "annotations" not in annotation:
        raise ValueError(
            "`annotations` must be, for each image, a dict with a list `annotations` of objects that have "
            f"`bbox` and `category_id`, got {type(annotation).__name__} "
            f"{list(annotation) if isinstance(annotation, Mapping) else ''}."
        )
    objects = [entry for entry in annotation["annotations"] if not entry.get("iscrowd", 0)]
    height, width = size
    boxes = np.asarray([entry["bbox"] for entry in objects], dtype=np.float32).reshape(-1, 4)
    first = boxes[:, :2].clip(0, (width, height))
    last = (boxes[:, :2] + boxes[:, 2:]).clip(0, (width, height))
    kept = (last > first).all(axis=1)
    first, last = first[kept], last[kept]
    objects = [entry for entry, keep in zip(objects, kept, strict=True) if keep]
    sides = last - first
    scale = np.array([width, height], dtype=np.float32)
    areas = [entry.get("area", area) for entry, area in zip(objects, sides.prod(axis=1), strict=True)]
    labels = {
        "class_labels": np.asarray([entry["category_id"] for entry in objects], dtype=np.int64),
        "boxes": np.concatenate([(first + last) / 2 / scale, sides / scale], axis=1).astype(np.float32),
        "area": np.asarray(areas, dtype=np.float32),
        "iscrowd": np.zeros(len(objects), dtype=np.int64),
        "orig_size": np.asarray(size, dtype=np.int64),
    }
    if "image_id" in annotation:
        labels["image_id"] = np.asarray([annotation["image_id"]], dtype=np.int64)
    return labels


__all__ = ["PEYolosImageProcessorPil"]
