"""PyTorch PEViT for semantic segmentation: a class for every pixel of an encrypted image."""

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPooling, SemanticSegmenterOutput
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_pevit import PEViTConfig
from .modeling_pevit import PEViTModel, PEViTPreTrainedModel


class PEViTSegmentationHead(nn.Module):
    """From one token a patch to the classes of the patch's pixels.

    Every token is unfolded to `decoder_hidden_size` features for each pixel of its patch (the sub-pixel
    convolution of Shi et al., 2016), a 3x3 convolution smooths over the borders of patches, and a 1x1
    convolution classifies.
    """

    def __init__(self, config: PEViTConfig):
        super().__init__()
        width = config.decoder_hidden_size
        self.unfolding: nn.Conv2d = nn.Conv2d(config.hidden_size, width * config.patch_size**2, 1)
        self.upsampling: nn.PixelShuffle = nn.PixelShuffle(config.patch_size)
        self.smoothing: nn.Conv2d = nn.Conv2d(width, width, 3, padding=1)
        self.activation: nn.Module = ACT2FN[config.hidden_act]
        self.classifier: nn.Conv2d = nn.Conv2d(width, config.num_labels, 1)

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """(batch, hidden_size, rows, columns) of tokens to (batch, num_labels, height, width)."""
        pixels = self.activation(self.upsampling(self.unfolding(feature_map)))  # (batch, width, H, W)
        return self.classifier(self.activation(self.smoothing(pixels)))


class PEViTForSemanticSegmentation(PEViTPreTrainedModel):
    """PEViT with a head that tells the class of every pixel of a mixed-up (MI) image.

    It needs patches in their places: the logits stand where the image's pixels do, so shuffled patches (RS)
    have no use for it. Take `position_encoding="absolute"`. Any height and width in whole patches will do.

    Raises:
        ValueError: If the config has no labels, or drops patches (`patch_drop_rate`), whose pixels would
            have no class.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=8,
    ...                      image_size=(32, 48), position_encoding="absolute", num_labels=4)
    >>> model = PEViTForSemanticSegmentation(config).eval()
    >>> output = model(torch.rand(2, 3, 32, 48), labels=torch.randint(0, 4, (2, 32, 48)))
    >>> output.logits.shape, output.loss.ndim
    (torch.Size([2, 4, 32, 48]), 0)
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        if config.num_labels < 1 or config.patch_drop_rate:
            raise ValueError(
                "Semantic segmentation needs at least one label and every patch, got `num_labels` "
                f"{config.num_labels} and `patch_drop_rate` {config.patch_drop_rate}. Name the classes, and "
                "set `patch_drop_rate` to 0."
            )
        self.num_labels: int = config.num_labels
        self.pevit: PEViTModel = PEViTModel(config)
        self.decode_head: PEViTSegmentationHead = PEViTSegmentationHead(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> SemanticSegmenterOutput:
        """Tell the class of every pixel.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images of whole patches.
            labels (`torch.Tensor` of shape `(batch, height, width)`, *optional*): Class ids, int64, as
                `encrypt_dataset` brings masks to the encrypted image; pixels of
                `config.semantic_loss_ignore_index` (255) count for nothing.

        Returns:
            `logits` (batch, num_labels, height, width), `loss` (the mean over the pixels that count; zero
            where none does) if labels are given, and what `output_*` asked for.

        Raises:
            ValueError: If `pixel_values` or `labels` have the wrong shape.
        """
        outputs: BaseModelOutputWithPooling = self.pevit(pixel_values, **kwargs)
        rows, columns = (side // self.config.patch_size for side in pixel_values.shape[2:])
        patches = outputs.last_hidden_state[:, self.pevit.embeddings.num_prefix_tokens :]
        logits = self.decode_head(patches.transpose(1, 2).unflatten(2, (rows, columns)))
        return SemanticSegmenterOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if labels.shape != logits[:, 0].shape:
            raise ValueError(
                "`labels` must be a class id for every pixel of the encrypted image, of shape "
                f"{tuple(logits[:, 0].shape)}, got {tuple(labels.shape)}. `encrypt_dataset` with a mask "
                "column makes masks of that size."
            )
        ignored = self.config.semantic_loss_ignore_index
        total = nn.functional.cross_entropy(logits, labels.long(), ignore_index=ignored, reduction="sum")
        return total / (labels != ignored).sum().clamp(min=1)


__all__ = ["PEViTForSemanticSegmentation", "PEViTSegmentationHead"]
