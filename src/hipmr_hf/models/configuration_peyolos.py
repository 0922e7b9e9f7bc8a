"""PEYOLOS model configuration."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig


@strict
class PEYolosConfig(PreTrainedConfig):
    r"""Architecture of a PEYOLOS, the object detector for mixed-up (MI) images.

    It is YOLOS, a plain vision transformer with detection tokens, behind a non-linear patch embedding.
    Defaults are those of the base size on images that were mixed up with `patch_size=16` and
    `sub_patch_grid=2`; names that YOLOS has too mean the same there.

    Args:
        hidden_size (`int`, defaults to 768): Width of the tokens; a multiple of `num_attention_heads`.
        num_hidden_layers (`int`, defaults to 12): Number of transformer blocks.
        num_attention_heads (`int`, defaults to 12): Attention heads of each block.
        intermediate_size (`int`, *optional*): Width inside the MLP; `None` means `4 * hidden_size`.
        hidden_act (`str`, defaults to `"gelu"`): Activation of the MLP and of the patch embedding.
        hidden_dropout_prob (`float`, defaults to 0.0): Dropout after the embeddings, the attention and the
            MLP, in [0, 1).
        attention_probs_dropout_prob (`float`, defaults to 0.0): Dropout of the attention weights, in [0, 1).
        drop_path_rate (`float`, defaults to 0.0): Stochastic depth of the last block, in [0, 1), as in PEViT.
        initializer_range (`float`, defaults to 0.02): Standard deviation of the truncated normal
            initialisation, that of the tokens and positions included.
        layer_norm_eps (`float`, defaults to 1e-6): Epsilon of the layer norms.
        image_size (`int` or `(int, int)`, defaults to `(256, 432)`): Size in pixels, (height, width), of an
            *encrypted* image. It only sets the position grid; images of all sizes are accepted.
        patch_size (`int`, defaults to 8): Width in pixels of an *encrypted* patch
            (`encryption.encrypted_patch_size`).
        num_channels (`int`, defaults to 3): Channels of the image.
        qkv_bias (`bool`, defaults to `True`): Whether queries, keys and values have biases.
        patch_embedding (`str`, defaults to `"nonlinear"`): `"nonlinear"` is the paper's: a convolution, the
            activation and a 1x1 convolution. `"linear"` is the convolution alone; that model is YOLOS.
            `"invariant"` and `"texture"` are those of PEViT, blind to how patches are turned; `"texture"` is
            for tones that were dealt out, which belong to other places.
        num_detection_tokens (`int`, defaults to 100): Detections per image.
        use_mid_position_embeddings (`bool`, defaults to `False`): Whether every block but the last is
            followed by position embeddings of its own, as in the larger YOLOS models.
        class_cost (`float`, defaults to 1.0): Weight of the class probability in the matching, at least 0.
        bbox_cost (`float`, defaults to 5.0): Weight of the boxes' L1 distance in the matching, at least 0.
        giou_cost (`float`, defaults to 2.0): Weight of the generalized IoU in the matching, at least 0.
        bbox_loss_coefficient (`float`, defaults to 5.0): Weight of the boxes' L1 distance in the loss.
        giou_loss_coefficient (`float`, defaults to 2.0): Weight of the generalized IoU in the loss.
        eos_coefficient (`float`, defaults to 0.1): Weight of "no object" in the cross-entropy, above 0.

    Raises:
        StrictDataclassError: For a wrong type or value; the message names the argument and what is allowed.

    Source: Hao et al., "Human-imperceptible, Machine-recognizable Images", section on PEYOLOS; Fang et al.,
        "You Only Look at One Sequence" (YOLOS, 2021).

    Example:

    >>> config = PEYolosConfig.tiny(image_size=(256, 320), num_labels=3)
    >>> config.hidden_size, config.position_grid, config.num_detection_tokens
    (192, (32, 40), 100)
    """

    model_type = "peyolos"
    # In evaluation Trainer gathers what is left: one row per image of `logits` and `pred_boxes`.
    keys_to_ignore_at_inference: ClassVar[list[str]] = [  # Trainer adds a list
        "loss_dict",
        "last_hidden_state",
        "hidden_states",
        "attentions",
    ]

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    image_size: int | list[int] | tuple[int, int] = (256, 432)
    patch_size: int = 8
    num_channels: int = 3
    qkv_bias: bool = True
    patch_embedding: Literal["nonlinear", "linear", "invariant", "texture"] = "nonlinear"
    num_detection_tokens: int = 100
    use_mid_position_embeddings: bool = False
    class_cost: float | int = 1.0
    bbox_cost: float | int = 5.0
    giou_cost: float | int = 2.0
    bbox_loss_coefficient: float | int = 5.0
    giou_loss_coefficient: float | int = 2.0
    eos_coefficient: float | int = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        if isinstance(self.image_size, tuple):
            self.image_size = list(self.image_size)  # what JSON gives back, so a reloaded config is equal
        super().__post_init__(**kwargs)

    @classmethod
    def tiny(cls, **overrides: Any) -> "PEYolosConfig":
        """PEYOLOS-Ti: width 192, 12 blocks, 3 heads; `overrides` are further arguments of the config.

        >>> PEYolosConfig.tiny(num_hidden_layers=4).num_hidden_layers
        4
        """
        return cls._preset(192, 12, 3, overrides)

    @classmethod
    def small(cls, **overrides: Any) -> "PEYolosConfig":
        """PEYOLOS-S: width 384, 12 blocks, 6 heads; `overrides` are further arguments of the config.

        >>> PEYolosConfig.small().num_attention_heads
        6
        """
        return cls._preset(384, 12, 6, overrides)

    @classmethod
    def base(cls, **overrides: Any) -> "PEYolosConfig":
        """PEYOLOS-B: width 768, 12 blocks, 12 heads; `overrides` are further arguments of the config.

        >>> PEYolosConfig.base().intermediate_size
        3072
        """
        return cls._preset(768, 12, 12, overrides)

    @classmethod
    def _preset(cls, width: int, depth: int, heads: int, overrides: dict[str, Any]) -> "PEYolosConfig":
        sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
        return cls(**{**sizes, **overrides})

    @property
    def position_grid(self) -> tuple[int, int]:
        """Rows and columns of patches in an encrypted image of `image_size`.

        >>> PEYolosConfig(image_size=(32, 48), patch_size=8).position_grid
        (4, 6)
        """
        height, width = (
            self.image_size if isinstance(self.image_size, list) else (self.image_size, self.image_size)
        )
        return height // self.patch_size, width // self.patch_size

    def validate_sizes(self) -> None:
        """Raise `ValueError` unless every size is positive and the heads divide the width."""
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")
        for name in (*names, "num_channels", "num_detection_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be a positive integer, got {getattr(self, name)}.")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"`hidden_size` must be a multiple of `num_attention_heads`, got {self.hidden_size} and "
                f"{self.num_attention_heads}. Change one of the two."
            )

    def validate_rates(self) -> None:
        """Raise `ValueError` unless every probability and weight is in its range."""
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 0 and below 1, got {getattr(self, name)}.")
        costs = ("class_cost", "bbox_cost", "giou_cost")
        for name in (*costs, "bbox_loss_coefficient", "giou_loss_coefficient"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")
        if not any(getattr(self, name) for name in costs):
            raise ValueError(f"One of {', '.join(costs)} must be above 0, or the matching has no reason.")
        for name in ("layer_norm_eps", "initializer_range", "eos_coefficient"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0, got {getattr(self, name)}.")

    def validate_image_size(self) -> None:
        """Raise `ValueError` unless `image_size` is whole patches."""
        sizes = self.image_size if isinstance(self.image_size, list) else [self.image_size]
        if len(sizes) not in (1, 2) or min(sizes) < 1 or any(size % self.patch_size for size in sizes):
            raise ValueError(
                f"`image_size` must be a positive integer or (height, width), whole patches of "
                f"{self.patch_size} pixels, got {self.image_size}. Give the encrypted image's size and the "
                "encrypted patch's width; `encryption_config.json` tells the settings."
            )


__all__ = ["PEYolosConfig"]
