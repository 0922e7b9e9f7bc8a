"""PyTorch PEViT for training without labels: which patches of an encrypted image are another image's?"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_pevit import PEViTConfig
from .modeling_pevit import PEViTModel, PEViTPreTrainedModel


@dataclass
class PEViTForPreTrainingOutput(ModelOutput):
    """Output of [`PEViTForPreTraining`].

    Args:
        loss: Mean binary cross-entropy over all patches.
        logits: (batch, num_patches); above 0 a patch is taken for another image's.
        foreign_patches: bool (batch, num_patches), those that are.
        hidden_states: As in every model of transformers.
        attentions: As in every model of transformers.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    foreign_patches: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class PEViTForPreTraining(PEViTPreTrainedModel):
    """PEViT that learns without labels, and without knowing where a patch stood.

    In a set of shuffled patches nobody can ask for a masked one, for it has no place. But a share of each
    image's patches (`foreign_patch_rate`) can be put in from another image of the batch, and the model tells
    which: it learns what belongs together. So replaced tokens are told in language (ELECTRA, Clark et al.,
    2020). The backbone's weights start any other PEViT, by `from_pretrained` of its class.

    Raises:
        ValueError: If the config drops patches (`patch_drop_rate`), which would have no answer.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=8)
    >>> model = PEViTForPreTraining(config).eval()
    >>> output = model(torch.rand(4, 3, 32, 48))  # 4 x 6 patches
    >>> output.logits.shape, output.foreign_patches.shape, output.loss.ndim
    (torch.Size([4, 24]), torch.Size([4, 24]), 0)
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        if config.patch_drop_rate:
            raise ValueError(
                f"Telling foreign patches needs every patch, got `patch_drop_rate` {config.patch_drop_rate}. "
                "Set it to 0."
            )
        self.pevit: PEViTModel = PEViTModel(config)
        self.foreign_head: nn.Linear = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        foreign_patches: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PEViTForPreTrainingOutput:
        """Mix patches of other images in, and tell them.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images of whole patches, at least two.
            foreign_patches (`torch.Tensor` of shape `(batch, num_patches)`, *optional*): bool; which patches
                are taken from the next image of the batch. Drawn at random by default.

        Returns:
            `loss`, `logits` and `foreign_patches`, and what `output_*` asked for.

        Raises:
            ValueError: If there are fewer than two images, or a shape is wrong.
        """
        size = self.config.patch_size
        if pixel_values is None or pixel_values.ndim != 4 or len(pixel_values) < 2:
            found = None if pixel_values is None else tuple(pixel_values.shape)
            raise ValueError(
                "`pixel_values` must be at least two images (batch, num_channels, height, width), of which "
                f"each has patches for another, got {found}."
            )
        rows, columns = (side // size for side in pixel_values.shape[2:])
        shape = (len(pixel_values), rows * columns)
        if foreign_patches is None:
            drawn = torch.rand(shape, device=pixel_values.device)
            foreign_patches = drawn < self.config.foreign_patch_rate
        elif tuple(foreign_patches.shape) != shape:
            raise ValueError(
                f"`foreign_patches` must have the shape {shape}, got {tuple(foreign_patches.shape)}."
            )
        cells = foreign_patches.reshape(len(pixel_values), 1, rows, columns)
        pixels = cells.repeat_interleave(size, dim=2).repeat_interleave(size, dim=3)
        mixed = torch.where(pixels, pixel_values.roll(-1, dims=0), pixel_values)
        outputs: BaseModelOutputWithPooling = self.pevit(mixed, **kwargs)
        tokens = outputs.last_hidden_state[:, self.pevit.embeddings.num_prefix_tokens :]
        logits = self.foreign_head(tokens).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), foreign_patches.float())
        return PEViTForPreTrainingOutput(
            loss=loss,
            logits=logits,
            foreign_patches=foreign_patches,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


__all__ = ["PEViTForPreTraining", "PEViTForPreTrainingOutput"]
