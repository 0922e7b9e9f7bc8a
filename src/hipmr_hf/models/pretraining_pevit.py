"""PyTorch PEViT for training without labels: which patches are another image's, or where does each stand?"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.masking_utils import create_bidirectional_mask
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
        loss: Mean cross-entropy over all patches, binary where foreign ones are told.
        logits: (batch, num_patches), above 0 where a patch is taken for another image's; or, where places are
            told, (batch, num_patches, num_patches), a row for each patch and in it a logit for each place.
        foreign_patches: bool (batch, num_patches), those that are another image's.
        context_patches: bool (batch, num_patches), those that all could look at, where places are told.
        hidden_states: As in every model of transformers.
        attentions: As in every model of transformers.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    foreign_patches: torch.Tensor | None = None
    context_patches: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class PEViTForPreTraining(PEViTPreTrainedModel):
    """PEViT that learns without labels.

    `pretraining_task` of the config says what. In a set of shuffled patches nobody can ask for a masked one,
    for it has no place. But a share of each image's patches (`foreign_patch_rate`) can be put in from another
    image of the batch, and with `"foreign"` the model tells which: it learns what belongs together. So
    replaced tokens are told in language (ELECTRA, Clark et al., 2020).

    Where patches keep their places, as mixing-up leaves them, `"places"` asks each patch where it stands. The
    model gets no positions, and all patches look at the class token and at a share of the patches alone
    (`context_patch_rate`), so that the task is not too easy. Source: MP3, Zhai et al., "Position prediction
    as an effective pretraining strategy", 2022.

    The backbone's weights start any other PEViT, by `from_pretrained` of its class.

    Raises:
        ValueError: If the config drops patches (`patch_drop_rate`), which would have no answer; or if places
            are to be told of tokens with absolute positions, which say them.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=8)
    >>> model = PEViTForPreTraining(config).eval()
    >>> output = model(torch.rand(4, 3, 32, 48))  # 4 x 6 patches
    >>> output.logits.shape, output.foreign_patches.shape, output.loss.ndim
    (torch.Size([4, 24]), torch.Size([4, 24]), 0)
    >>> config.image_size, config.pretraining_task = [32, 48], "places"
    >>> PEViTForPreTraining(config)(torch.rand(4, 3, 32, 48)).logits.shape
    torch.Size([4, 24, 24])
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        if config.patch_drop_rate:
            raise ValueError(
                "Training without labels needs every patch, got `patch_drop_rate` "
                f"{config.patch_drop_rate}. Set it to 0."
            )
        self.tells_places: bool = config.pretraining_task == "places"
        if self.tells_places and config.position_encoding == "absolute":
            raise ValueError(
                'Telling places needs tokens that do not say them, got `position_encoding` "absolute". Set '
                'it to "none"; a classifier that starts from the backbone can still learn positions.'
            )
        self.pevit: PEViTModel = PEViTModel(config)
        self.foreign_head: nn.Linear | None = None
        self.place_head: nn.Linear | None = None
        if self.tells_places:
            self.place_head = nn.Linear(config.hidden_size, math.prod(config.position_grid))
        else:
            self.foreign_head = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        foreign_patches: torch.Tensor | None = None,
        context_patches: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PEViTForPreTrainingOutput:
        """Tell foreign patches, which are mixed in here, or places.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images of whole patches; at least two, where foreign patches are told, and of the
                config's `image_size`, where places are.
            foreign_patches (`torch.Tensor` of shape `(batch, num_patches)`, *optional*): bool; which patches
                are taken from the next image of the batch. Drawn at random by default.
            context_patches (`torch.Tensor` of shape `(batch, num_patches)`, *optional*): bool; which patches
                all may look at while places are told. Drawn at random by default, as many in each image.

        Returns:
            `loss`, `logits`, and `foreign_patches` or `context_patches`, and what `output_*` asked for.

        Raises:
            ValueError: If there are too few images, or a shape is wrong.
        """
        least = 1 if self.tells_places else 2
        if pixel_values is None or pixel_values.ndim != 4 or len(pixel_values) < least:
            found = None if pixel_values is None else tuple(pixel_values.shape)
            why = "" if self.tells_places else ", of which each has patches for another"
            raise ValueError(
                f"`pixel_values` must be at least {least} images (batch, num_channels, height, width){why}, "
                f"got {found}."
            )
        if self.tells_places:
            return self._tell_places(pixel_values, context_patches, **kwargs)
        return self._tell_foreign(pixel_values, foreign_patches, **kwargs)

    def _tell_foreign(
        self, pixel_values: torch.Tensor, foreign_patches: torch.Tensor | None, **kwargs: Any
    ) -> PEViTForPreTrainingOutput:
        size = self.config.patch_size
        rows, columns = self._grid(pixel_values)
        shape = (len(pixel_values), rows * columns)
        if foreign_patches is None:
            drawn = torch.rand(shape, device=pixel_values.device)
            foreign_patches = drawn < self.config.foreign_patch_rate
        _check_shape("foreign_patches", foreign_patches, shape)
        cells = foreign_patches.reshape(len(pixel_values), 1, rows, columns)
        pixels = cells.repeat_interleave(size, dim=2).repeat_interleave(size, dim=3)
        mixed = torch.where(pixels, pixel_values.roll(-1, dims=0), pixel_values)
        outputs: BaseModelOutputWithPooling = self.pevit(mixed, **kwargs)
        logits = self.foreign_head(self._patches(outputs)).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), foreign_patches.float())
        return PEViTForPreTrainingOutput(
            loss=loss,
            logits=logits,
            foreign_patches=foreign_patches,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _tell_places(
        self, pixel_values: torch.Tensor, context_patches: torch.Tensor | None, **kwargs: Any
    ) -> PEViTForPreTrainingOutput:
        rows, columns = self._grid(pixel_values)
        if (rows, columns) != self.config.position_grid:
            raise ValueError(
                f"`pixel_values` must be of the size {self.config.image_size} that places are told for, got "
                f"{tuple(pixel_values.shape[2:])}. `image_size` of the config sets it."
            )
        shape = (len(pixel_values), rows * columns)
        if context_patches is None:
            drawn = torch.rand(shape, device=pixel_values.device)
            kept = max(1, round(shape[1] * self.config.context_patch_rate))
            context_patches = drawn.argsort(dim=1).argsort(dim=1) < kept
        _check_shape("context_patches", context_patches, shape)
        # Class token, distillation token and registers can be looked at as well.
        prefix = context_patches.new_ones(shape[0], self.pevit.embeddings.num_prefix_tokens)
        seen = torch.cat((prefix, context_patches), dim=1)
        like_tokens = self.pevit.embeddings.cls_token.expand(*seen.shape, -1)
        mask = create_bidirectional_mask(self.config, like_tokens, seen)
        outputs: BaseModelOutputWithPooling = self.pevit(pixel_values, attention_mask=mask, **kwargs)
        logits = self.place_head(self._patches(outputs))  # (batch, num_patches, num_patches)
        places = torch.arange(shape[1], device=logits.device).expand(shape)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), places.flatten())
        return PEViTForPreTrainingOutput(
            loss=loss,
            logits=logits,
            context_patches=context_patches,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _grid(self, pixel_values: torch.Tensor) -> tuple[int, int]:
        rows, columns = (side // self.config.patch_size for side in pixel_values.shape[2:])
        return rows, columns

    def _patches(self, outputs: BaseModelOutputWithPooling) -> torch.Tensor:
        return outputs.last_hidden_state[:, self.pevit.embeddings.num_prefix_tokens :]


def _check_shape(name: str, patches: torch.Tensor, shape: tuple[int, int]) -> None:
    if tuple(patches.shape) != shape:
        raise ValueError(f"`{name}` must have the shape {shape}, got {tuple(patches.shape)}.")


__all__ = ["PEViTForPreTraining", "PEViTForPreTrainingOutput"]
