"""PyTorch PEViT model."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_pevit import PEViTConfig
from .embeddings_pevit import PEViTEmbeddings, PEViTReferenceEncoding
from .layers_pevit import PEViTAttention, PEViTLayer, PEViTRegressionHead
from .loss_pevit import classification_loss, distillation_loss


class PEViTPreTrainedModel(PreTrainedModel):
    """What all PEViT models share: initialisation, capabilities, and which weights must not decay."""

    config: PEViTConfig
    base_model_prefix = "pevit"
    main_input_name = "pixel_values"
    input_modalities: tuple[str, ...] = ("image",)
    supports_gradient_checkpointing = True
    # Trainer must not pass `num_items_in_batch`: with mixup's (batch, num_labels) targets it would count
    # every entry of them.
    accepts_loss_kwargs = False
    _no_split_modules = ["PEViTEmbeddings", "PEViTLayer"]  # noqa: RUF012
    _input_embed_layer = "patch_embeddings"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": PEViTLayer, "attentions": PEViTAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        keeps_default = self.config.patch_embedding_initializer == "default"
        if isinstance(module, nn.Conv2d) and keeps_default:
            self._init_like_pytorch(module)
        elif isinstance(module, (nn.Linear, nn.Conv2d)):
            init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, PEViTReferenceEncoding):
            init.trunc_normal_(module.reference, std=std)
            if self.config.use_distillation_token:
                # The program builds a distilled model's F after it has initialised the weights, so F keeps
                # PyTorch's.
                self._init_like_pytorch(module.fc1)
                self._init_like_pytorch(module.fc2)
        elif isinstance(module, PEViTEmbeddings):
            tokens = (module.cls_token, module.distillation_token, module.register_tokens)
            for token in (*tokens, module.position_embeddings):
                if token is not None:
                    init.trunc_normal_(token, std=std)

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
                "AutoModel": "modeling_pevit.PEViTModel",
                "AutoImageProcessor": "image_processing_pevit.PEViTImageProcessorPil",
            }
        super().save_pretrained(*args, **kwargs)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the recipe trains without weight decay.

        These are biases, layer norms, the class token, registers and absolute positions. `reference` and
        `distillation_token` do decay, as in the published program. Call it on the model itself, before any
        wrapper changes the names.

        >>> model = PEViTModel(PEViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
        >>> sorted(model.no_weight_decay())[:2]
        ['embeddings.cls_token', 'embeddings.patch_embeddings.projection.bias']
        """
        exempt = ("cls_token", "register_tokens", "position_embeddings")
        return {name for name, weight in self.named_parameters() if weight.ndim <= 1 or name.endswith(exempt)}


class PEViTModel(PEViTPreTrainedModel):
    """PEViT without a head: encrypted pixel values in, token features out.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=8)
    >>> model = PEViTModel(config).eval()
    >>> output = model(torch.rand(1, 3, 32, 48))  # 4 x 6 patches
    >>> output.last_hidden_state.shape, output.pooler_output.shape
    (torch.Size([1, 25, 32]), torch.Size([1, 32]))
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        self.embeddings: PEViTEmbeddings = PEViTEmbeddings(config)
        self.layers: nn.ModuleList = nn.ModuleList(
            [PEViTLayer(config, index) for index in range(config.num_hidden_layers)]
        )
        self.layernorm: nn.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self, pixel_values: torch.Tensor | None = None, **kwargs: Unpack[TransformersKwargs]
    ) -> BaseModelOutputWithPooling:
        """Encode encrypted images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images of whole patches; any number of patches.
            kwargs: `output_hidden_states`, `output_attentions` (needs eager attention), `return_dict`.

        Returns:
            `last_hidden_state` (batch, 1 or 2 + registers + num_patches, hidden_size), after the final layer
            norm, in the order class token, distillation token and registers if there are any, patches; and
            `pooler_output` (batch, hidden_size), the class token's row of it: unlike ViT there is no dense
            layer behind it, because the published model has none.

        Raises:
            ValueError: If `pixel_values` is missing, has another number of channels, or is not whole patches.
        """
        if pixel_values is None:
            raise ValueError(
                "`pixel_values` is missing: pass what the image processor returns, as `pixel_values=`."
            )
        hidden_states = self.embeddings(pixel_values)
        for layer in self.layers:
            hidden_states = layer(hidden_states, **kwargs)
        hidden_states = self.layernorm(hidden_states)
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=hidden_states[:, 0])


class PEViTForImageClassification(PEViTPreTrainedModel):
    """PEViT with a linear classifier on the normalised class token.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_labels=10)
    >>> model = PEViTForImageClassification(config).eval()
    >>> output = model(torch.rand(2, 3, 64, 64), labels=torch.tensor([3, 7]))
    >>> output.logits.shape, output.loss.ndim
    (torch.Size([2, 10]), 0)
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        self.num_labels: int = config.num_labels
        self.pevit: PEViTModel = PEViTModel(config)
        self.classifier: nn.Module = _classification_head(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> ImageClassifierOutput:
        """Classify encrypted images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images.
            labels (`torch.Tensor`, *optional*): Class ids of shape `(batch,)`; or, with
                `config.problem_type="single_label_classification"`, floating class probabilities of shape
                `(batch, num_labels)`, such as mixup makes, for a soft cross-entropy. With
                `"multi_label_classification"` zeros and ones of that shape, with `"regression"` numbers.

        Returns:
            `logits` (batch, num_labels), `loss` if labels are given, and what `output_*` asked for.

        Raises:
            ValueError: If `pixel_values` or floating `labels` have the wrong shape.
        """
        outputs: BaseModelOutputWithPooling = self.pevit(pixel_values, **kwargs)
        logits = self.classifier(outputs.pooler_output)
        loss = None if labels is None else classification_loss(self, labels, logits, **kwargs)
        return ImageClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


@dataclass
class PEViTForImageClassificationWithTeacherOutput(ModelOutput):
    """Output of [`PEViTForImageClassificationWithTeacher`]; all logits are (batch, num_labels).

    Args:
        loss: The loss, if labels were given.
        logits: The mean of the two heads' logits; the prediction.
        cls_logits: What the classifier says on the class token.
        distillation_logits: What the distillation classifier says on the distillation token.
        hidden_states: As in every model of transformers.
        attentions: As in every model of transformers.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    cls_logits: torch.Tensor | None = None
    distillation_logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class PEViTForImageClassificationWithTeacher(PEViTPreTrainedModel):
    """PEViT with a distillation token, for training with a teacher's logits (DeiT's recipe).

    Its checkpoints load into [`PEViTForImageClassification`] too, which then uses the class token's head
    alone.

    Example:

    >>> config = PEViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_labels=10)
    >>> model = PEViTForImageClassificationWithTeacher(config)
    >>> teacher_logits = torch.randn(2, 10)
    >>> output = model(torch.rand(2, 3, 64, 64), labels=torch.tensor([3, 7]), teacher_logits=teacher_logits)
    >>> torch.equal(output.logits, (output.cls_logits + output.distillation_logits) / 2)
    True
    """

    def __init__(self, config: PEViTConfig):
        if not config.use_distillation_token:
            # The caller may build a model without the token from the same config.
            config = copy.deepcopy(config)
            config.use_distillation_token = True
        super().__init__(config)
        self.num_labels: int = config.num_labels
        self.pevit: PEViTModel = PEViTModel(config)
        self.classifier: nn.Module = _classification_head(config)
        self.distillation_classifier: nn.Module = _classification_head(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        teacher_logits: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PEViTForImageClassificationWithTeacherOutput:
        """Classify encrypted images with both heads.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch, num_channels, height, width)`): Encrypted,
                normalised images.
            labels (`torch.Tensor`, *optional*): As in [`PEViTForImageClassification`].
            teacher_logits (`torch.Tensor` of shape `(batch, num_labels)`, *optional*): A teacher's logits
                for the same images. With labels, the loss is `(1 - alpha) * loss(cls_logits, labels) + alpha
                * distillation(distillation_logits, teacher_logits)`; without them, that of `logits`.

        Returns:
            [`PEViTForImageClassificationWithTeacherOutput`].

        Raises:
            ValueError: If a shape is wrong, or if `teacher_logits` is missing while training with labels and
                `config.distillation_type` is not `"none"`.
        """
        outputs: BaseModelOutputWithPooling = self.pevit(pixel_values, **kwargs)
        cls_logits = self.classifier(outputs.last_hidden_state[:, 0])
        distillation_logits = self.distillation_classifier(outputs.last_hidden_state[:, 1])
        logits = (cls_logits + distillation_logits) / 2
        loss = None
        if labels is not None and self._distils(teacher_logits):
            alpha = self.config.distillation_alpha
            loss = (1 - alpha) * classification_loss(self, labels, cls_logits, **kwargs)
            loss = loss + alpha * distillation_loss(self.config, distillation_logits, teacher_logits)
        elif labels is not None:
            loss = classification_loss(self, labels, logits, **kwargs)
        return PEViTForImageClassificationWithTeacherOutput(
            loss=loss,
            logits=logits,
            cls_logits=cls_logits,
            distillation_logits=distillation_logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _distils(self, teacher_logits: torch.Tensor | None) -> bool:
        if self.config.distillation_type == "none":
            return False
        if teacher_logits is None and self.training:
            raise ValueError(
                "`teacher_logits` is missing while training with "
                f"`distillation_type` {self.config.distillation_type!r}. Pass the teacher's logits, or set "
                '`config.distillation_type` to "none" to train without a teacher.'
            )
        return teacher_logits is not None


def _classification_head(config: PEViTConfig) -> nn.Module:
    if config.problem_type == "regression" and config.regression_mean is not None:
        return PEViTRegressionHead(config)
    return nn.Linear(config.hidden_size, config.num_labels) if config.num_labels > 0 else nn.Identity()


__all__ = [
    "PEViTForImageClassification",
    "PEViTForImageClassificationWithTeacher",
    "PEViTForImageClassificationWithTeacherOutput",
    "PEViTModel",
    "PEViTPreTrainedModel",
]
