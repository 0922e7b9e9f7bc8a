"""PyTorch PEYOLOS model."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import initialization as init
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_peyolos import PEYolosConfig
from .embeddings_peyolos import PatchLayout, PEYolosEmbeddings, num_positions, resize_positions
from .layers_pevit import PEViTAttention, PEViTLayer
from .loss_peyolos import detection_loss


class PEYolosPreTrainedModel(PreTrainedModel):
    """What all PEYOLOS models share: initialisation, capabilities, and which weights are trained how."""

    config: PEYolosConfig
    base_model_prefix = "peyolos"
    main_input_name = "pixel_values"
    input_modalities: tuple[str, ...] = ("image",)
    supports_gradient_checkpointing = True
    # Trainer cannot count objects, so it must not pass `num_items_in_batch`.
    accepts_loss_kwargs = False
    _no_split_modules = ["PEYolosEmbeddings", "PEViTLayer"]  # noqa: RUF012
    _input_embed_layer = "patch_embeddings"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": PEViTLayer, "attentions": PEViTAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(
            module, (nn.Conv2d, PEYolosHeadLinear)
        ):  # the program leaves them as PyTorch makes them
            self._init_like_pytorch(module)
        elif isinstance(module, nn.Linear):
            init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, PEYolosEmbeddings):
            # Tokens or positions of zeros would make every detection the same one, for ever.
            for token in (module.cls_token, module.detection_tokens, module.position_embeddings):
                init.trunc_normal_(token, std=std)
        elif isinstance(module, PEYolosModel) and module.mid_position_embeddings is not None:
            init.trunc_normal_(module.mid_position_embeddings, std=std)

    def _init_like_pytorch(self, layer: nn.Linear | nn.Conv2d) -> None:
        """What `reset_parameters` draws; it is repeated here because that would overwrite loaded weights."""
        init.kaiming_uniform_(layer.weight, a=math.sqrt(5))
        if layer.bias is not None:
            bound = 1 / math.sqrt(layer.weight[0].numel())
            init.uniform_(layer.bias, -bound, bound)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """As in transformers; where code travels with the weights, Auto classes find more in it.

        The model without its head, and the image processor, which says nothing about that itself.
        """
        if self._auto_class is not None:  # transformers itself would only map the class that is saved
            self.config.auto_map = {
                **(getattr(self.config, "auto_map", None) or {}),
                "AutoModel": "modeling_peyolos.PEYolosModel",
                "AutoImageProcessor": "image_processing_peyolos.PEYolosImageProcessorPil",
            }
        super().save_pretrained(*args, **kwargs)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the recipe trains without weight decay.

        These are biases, layer norms, tokens and positions. The published program does decay the biases of
        the heads and of the patch embedding. Call it on the model itself, before any wrapper changes the
        names.

        >>> model = PEYolosModel(PEYolosConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
        >>> sorted(model.no_weight_decay())[:2]
        ['embeddings.cls_token', 'embeddings.detection_tokens']
        """
        exempt = ("cls_token", "detection_tokens", "position_embeddings")
        return {name for name, weight in self.named_parameters() if weight.ndim <= 1 or name.endswith(exempt)}

    def new_parameters(self) -> set[str]:
        """Names of the patch embedding's parameters, which no checkpoint of plain images can fill.

        The recipe trains them with ten times the learning rate of the others.

        >>> model = PEYolosModel(PEYolosConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
        >>> sorted(model.new_parameters())[-1]
        'embeddings.patch_embeddings.projection.weight'
        """
        return {name for name, _ in self.named_parameters() if ".patch_embeddings." in f".{name}"}


class PEYolosModel(PEYolosPreTrainedModel):
    """PEYOLOS without heads: mixed-up pixel values in, token features out.

    Example:

    >>> config = PEYolosConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
    >>> model = PEYolosModel(config).eval()
    >>> output = model(torch.rand(1, 3, 32, 48))  # 4 x 6 patches, 100 detection tokens
    >>> output.last_hidden_state.shape, output.pooler_output.shape
    (torch.Size([1, 125, 32]), torch.Size([1, 32]))
    """

    def __init__(self, config: PEYolosConfig):
        super().__init__(config)
        self.embeddings: PEYolosEmbeddings = PEYolosEmbeddings(config)
        self.layers: nn.ModuleList = nn.ModuleList(
            [PEViTLayer(config, index) for index in range(config.num_hidden_layers)]
        )
        self.layernorm: nn.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mid_position_embeddings: nn.Parameter | None = None
        if config.use_mid_position_embeddings:
            shape = (config.num_hidden_layers - 1, 1, num_positions(config), config.hidden_size)
            self.mid_position_embeddings = nn.Parameter(torch.zeros(shape))
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        pixel_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        """Encode mixed-up images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Mixed-up,
                normalised images of whole patches; smaller ones are padded at the right and bottom.
            pixel_mask (`torch.Tensor` of shape `(batch, height, width)`, *optional*): 1 for pixels of the
                image, 0 for padding. Padding is not attended to, and positions are those of the image's own
                grid, so an image has the same features in a padded batch as alone. Without a mask, all
                pixels are the image's, as in the published program.
            kwargs: `output_hidden_states`, `output_attentions` (needs eager attention), `return_dict`.

        Returns:
            `last_hidden_state` (batch, 1 + num_patches + num_detection_tokens, hidden_size), after the final
            layer norm, in the order class token, patches, detection tokens; features of padding mean
            nothing. `pooler_output` (batch, hidden_size), the class token's row of it.

        Raises:
            ValueError: If `pixel_values` is missing, has another number of channels, or is not whole
                patches; or if `pixel_mask` has another size.
        """
        if pixel_values is None:
            raise ValueError(
                "`pixel_values` is missing: pass what the image processor returns, as `pixel_values=`."
            )
        hidden_states, layout = self.embeddings(pixel_values, pixel_mask)
        attention_mask = self._attention_mask(hidden_states, layout)
        for index, layer in enumerate(self.layers):
            hidden_states = layer(hidden_states, attention_mask=attention_mask, **kwargs)
            if self.mid_position_embeddings is not None and index < len(self.layers) - 1:
                table = self.mid_position_embeddings[index]
                hidden_states = hidden_states + resize_positions(table, self.config.position_grid, layout)
        hidden_states = self.layernorm(hidden_states)
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=hidden_states[:, 0])

    def _attention_mask(self, hidden_states: torch.Tensor, layout: PatchLayout) -> Any:
        """What the attention implementation takes for "attend to all but padding"; `None` without any."""
        if layout.patch_mask is None:
            return None
        real = layout.patch_mask.new_ones(hidden_states.shape[0], 1)  # `len` would fix it in torch.export
        suffix = real.expand(-1, self.config.num_detection_tokens)
        mask = torch.cat((real, layout.patch_mask, suffix), dim=1)
        return create_bidirectional_mask(self.config, hidden_states, mask)


class PEYolosHeadLinear(nn.Linear):
    """A linear layer with an initialisation of its own."""


class PEYolosMLPHead(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self, config: PEYolosConfig, num_outputs: int):
        super().__init__()
        widths = [config.hidden_size] * 3 + [num_outputs]
        self.layers: nn.ModuleList = nn.ModuleList(
            PEYolosHeadLinear(width, following) for width, following in itertools.pairwise(widths)
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """(..., hidden_size) to (..., num_outputs)."""
        for layer in self.layers[:-1]:
            hidden_states = nn.functional.relu(layer(hidden_states))
        return self.layers[-1](hidden_states)


@dataclass
class PEYolosObjectDetectionOutput(ModelOutput):
    """Output of [`PEYolosForObjectDetection`]; with `queries` detections per image.

    Args:
        loss: The loss, if labels were given.
        loss_dict: Its detached parts, see `detection_loss`.
        logits: (batch, queries, num_labels + 1); the last class is "no object".
        pred_boxes: (batch, queries, 4), centre x, centre y, width and height as shares, in 0..1, of the image
            without its padding.
        last_hidden_state: As in [`PEYolosModel`].
        hidden_states: As in every model of transformers.
        attentions: As in every model of transformers.
    """

    loss: torch.Tensor | None = None
    loss_dict: dict[str, torch.Tensor] | None = None
    logits: torch.Tensor | None = None
    pred_boxes: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class PEYolosForObjectDetection(PEYolosPreTrainedModel):
    """PEYOLOS with heads for classes and boxes on the detection tokens.

    Example:

    >>> config = PEYolosConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_labels=3)
    >>> model = PEYolosForObjectDetection(config).eval()
    >>> labels = [{"class_labels": torch.tensor([2]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.4]])}]
    >>> output = model(torch.rand(1, 3, 32, 48), labels=labels)
    >>> output.logits.shape, output.pred_boxes.shape, output.loss.ndim
    (torch.Size([1, 100, 4]), torch.Size([1, 100, 4]), 0)
    """

    def __init__(self, config: PEYolosConfig):
        super().__init__(config)
        self.num_labels: int = config.num_labels
        self.peyolos: PEYolosModel = PEYolosModel(config)
        self.class_labels_classifier: PEYolosMLPHead = PEYolosMLPHead(config, config.num_labels + 1)
        self.bbox_predictor: PEYolosMLPHead = PEYolosMLPHead(config, 4)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        pixel_mask: torch.Tensor | None = None,
        labels: list[dict[str, torch.Tensor]] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PEYolosObjectDetectionOutput:
        """Detect objects in mixed-up images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): As in
                [`PEYolosModel`].
            pixel_mask (`torch.Tensor` of shape `(batch, height, width)`, *optional*): As in [`PEYolosModel`].
            labels (`list[dict]`, *optional*): For each image `class_labels` int64 (objects,) and `boxes`
                (objects, 4): centre x, centre y, width and height as shares of the image without its padding.

        Returns:
            [`PEYolosObjectDetectionOutput`].

        Raises:
            ValueError: If an input has the wrong shape or a class is unknown.
            ImportError: If labels are given and scipy is missing.
        """
        outputs: BaseModelOutputWithPooling = self.peyolos(pixel_values, pixel_mask, **kwargs)
        detections = outputs.last_hidden_state[:, -self.config.num_detection_tokens :]
        logits = self.class_labels_classifier(detections)
        pred_boxes = self.bbox_predictor(detections).sigmoid()
        loss, loss_dict = None, None
        if labels is not None:
            loss, loss_dict = detection_loss(self.config, logits, pred_boxes, labels)
        return PEYolosObjectDetectionOutput(
            loss=loss,
            loss_dict=loss_dict,
            logits=logits,
            pred_boxes=pred_boxes,
            last_hidden_state=outputs.last_hidden_state,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


__all__ = [
    "PEYolosForObjectDetection",
    "PEYolosModel",
    "PEYolosObjectDetectionOutput",
    "PEYolosPreTrainedModel",
]
