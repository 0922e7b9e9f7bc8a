"""PEViT model configuration."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig


@strict
class PEViTConfig(PreTrainedConfig):
    r"""Architecture of a PEViT, the permutation-equivariant vision transformer for encrypted images.

    The model sees an encrypted image as a set of patches: without `position_encoding="absolute"` its logits
    do not depend on the order of the patches, and any number of them is accepted. Defaults are those of
    PEViT-B.

    Args:
        hidden_size (`int`, defaults to 768): Width of the tokens; a multiple of `num_attention_heads`.
        num_hidden_layers (`int`, defaults to 12): Number of transformer blocks.
        num_attention_heads (`int`, defaults to 12): Attention heads of each block.
        intermediate_size (`int`, *optional*): Width inside the MLP; `None` means `4 * hidden_size`.
        hidden_act (`str`, defaults to `"gelu"`): Activation of the MLP and of the patch
            embedding; `"gelu"` is the exact (erf) one that the published program uses.
        hidden_dropout_prob (`float`, defaults to 0.0): Dropout after the embeddings, the attention and the
            MLP, in [0, 1).
        attention_probs_dropout_prob (`float`, defaults to 0.0): Dropout of the attention weights, in [0, 1).
        drop_path_rate (`float`, defaults to 0.0): Stochastic depth of the last block, in [0, 1). It rises
            linearly from 0 at the first block, and is drawn per image.
        patch_drop_rate (`float`, defaults to 0.0): Share of the patches, in [0, 1), that is left out at
            random in training. At least one patch stays. Absolute positions are added before.
        initializer_range (`float`, defaults to 0.02): Standard deviation of the truncated normal
            initialisation.
        layer_norm_eps (`float`, defaults to 1e-6): Epsilon of the layer norms.
        image_size (`int` or `(int, int)`, defaults to 224): Size in pixels, (height, width), of the
            *encrypted* image. It only sets the position grid of `position_encoding="absolute"`; images of
            other sizes are still accepted.
        patch_size (`int`, defaults to 16): Width in pixels of an *encrypted* patch
            (`encryption.encrypted_patch_size`).
        num_channels (`int`, defaults to 3): Channels of the image.
        qkv_bias (`bool`, defaults to `True`): Whether queries, keys and values have biases.
        position_encoding (`str`, defaults to `"reference"`): `"reference"` is the paper's reference-based
            positional encoding (RPE) for shuffled patches, `"none"` leaves it out, `"absolute"` learns one
            position per grid cell, for mixed-up (MI) images whose patches keep their places.
        patch_embedding (`str`, defaults to `"linear"`): `"linear"`; `"nonlinear"`: a convolution, the
            activation and a 1x1 convolution, which the paper uses on MI images. Beyond the paper,
            `"invariant"`, for `sub_patch_symmetries`, and for classes under `shuffle_tones`: it is blind to
            how a patch is turned (a mean over its eight turns), and sees its tone (mean and contrast)
            beside; and `"texture"`, for masks under `shuffle_tones`: it sees the patch without its tone,
            which belongs to another place. Both count on pixel values from -1 to 1, as the image processor
            makes them.
        patch_embedding_initializer (`str`, defaults to `"default"`): `"default"` keeps PyTorch's
            initialisation of the patch convolutions, as the published program does; `"truncated_normal"`
            treats them like every linear layer.
        use_distillation_token (`bool`, defaults to `False`): Whether a distillation token follows the class
            token. [`PEViTForImageClassificationWithTeacher`] sets it.
        num_register_tokens (`int`, defaults to 0): Learned tokens without a meaning of their own that stand
            before the patches, as DINOv2 with registers has.
        distillation_type (`str`, defaults to `"hard"`): Loss on the teacher's logits: `"hard"`
            (cross-entropy at its best class), `"soft"` (Kullback-Leibler divergence) or `"none"`.
        distillation_alpha (`float`, defaults to 0.5): Share of the distillation loss in the whole loss, in
            [0, 1].
        distillation_tau (`float`, defaults to 3.0): Temperature of the soft distillation, above 0.
        regression_mean (`list[float]`, *optional*): With `problem_type="regression"`, the mean of each number
            that the classifiers learn, so that the head works with numbers of about unit size and its logits
            are in the numbers' own unit.
        regression_std (`list[float]`, *optional*): The standard deviation of each, above 0; both or none.
        decoder_hidden_size (`int`, defaults to 32): Features of every pixel in the head of
            [`PEViTForSemanticSegmentation`].
        pretraining_task (`str`, defaults to `"foreign"`): What [`PEViTForPreTraining`] learns: `"foreign"`,
            which patches are another image's, or `"places"`, where each patch stands, for images whose
            patches keep their places.
        foreign_patch_rate (`float`, defaults to 0.25): Share of the patches, between 0 and 1, that
            [`PEViTForPreTraining`] takes from another image.
        context_patch_rate (`float`, defaults to 0.25): Share of the patches, above 0 and at most 1, that all
            may look at while [`PEViTForPreTraining`] tells places.
        semantic_loss_ignore_index (`int`, defaults to 255): Pixels of this class id count for nothing in the
            loss of [`PEViTForSemanticSegmentation`].

    Raises:
        StrictDataclassError: For a wrong type or value; the message names the argument and what is allowed.

    Source: Hao et al., "Human-imperceptible, Machine-recognizable Images", sections on PEViT and RPE.
    Sizes and distillation are those of DeiT (Touvron et al., 2021).

    Example:

    >>> config = PEViTConfig.tiny(patch_size=8, num_labels=10)
    >>> config.hidden_size, config.intermediate_size, config.position_encoding
    (192, 768, 'reference')
    """

    model_type = "pevit"
    # In evaluation Trainer hands `logits` alone to compute_metrics; the two heads behind them are not
    # predictions.
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "cls_logits",
        "distillation_logits",
    ]  # Trainer adds a list

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.0
    patch_drop_rate: float | int = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    image_size: int | list[int] | tuple[int, int] = 224
    patch_size: int = 16
    num_channels: int = 3
    qkv_bias: bool = True
    position_encoding: Literal["reference", "none", "absolute"] = "reference"
    patch_embedding: Literal["linear", "nonlinear", "invariant", "texture"] = "linear"
    patch_embedding_initializer: Literal["default", "truncated_normal"] = "default"
    use_distillation_token: bool = False
    num_register_tokens: int = 0
    distillation_type: Literal["hard", "soft", "none"] = "hard"
    distillation_alpha: float | int = 0.5
    distillation_tau: float | int = 3.0
    regression_mean: list[float] | None = None
    regression_std: list[float] | None = None
    decoder_hidden_size: int = 32
    pretraining_task: Literal["foreign", "places"] = "foreign"
    foreign_patch_rate: float = 0.25
    context_patch_rate: float | int = 0.25
    semantic_loss_ignore_index: int = 255

    def __post_init__(self, **kwargs: Any) -> None:
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        if isinstance(self.image_size, tuple):
            self.image_size = list(self.image_size)  # what JSON gives back, so a reloaded config is equal
        super().__post_init__(**kwargs)

    @classmethod
    def tiny(cls, **overrides: Any) -> "PEViTConfig":
        """PEViT-Ti: width 192, 12 blocks, 3 heads; `overrides` are further arguments of the config.

        >>> PEViTConfig.tiny(num_hidden_layers=4).num_hidden_layers
        4
        """
        return cls._preset(192, 12, 3, overrides)

    @classmethod
    def small(cls, **overrides: Any) -> "PEViTConfig":
        """PEViT-S: width 384, 12 blocks, 6 heads; `overrides` are further arguments of the config.

        >>> PEViTConfig.small().num_attention_heads
        6
        """
        return cls._preset(384, 12, 6, overrides)

    @classmethod
    def base(cls, **overrides: Any) -> "PEViTConfig":
        """PEViT-B: width 768, 12 blocks, 12 heads; `overrides` are further arguments of the config.

        >>> PEViTConfig.base().intermediate_size
        3072
        """
        return cls._preset(768, 12, 12, overrides)

    @classmethod
    def _preset(cls, width: int, depth: int, heads: int, overrides: dict[str, Any]) -> "PEViTConfig":
        sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
        return cls(**{**sizes, **overrides})

    @property
    def position_grid(self) -> tuple[int, int]:
        """Rows and columns of patches in an encrypted image of `image_size`.

        >>> PEViTConfig(image_size=(64, 96), patch_size=16).position_grid
        (4, 6)
        """
        height, width = (
            self.image_size if isinstance(self.image_size, list) else (self.image_size, self.image_size)
        )
        return height // self.patch_size, width // self.patch_size

    def validate_sizes(self) -> None:
        """Raise `ValueError` unless every size is positive and the heads divide the width."""
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")
        for name in (*names, "num_channels", "decoder_hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be a positive integer, got {getattr(self, name)}.")
        if self.num_register_tokens < 0:
            raise ValueError(f"`num_register_tokens` must not be negative, got {self.num_register_tokens}.")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"`hidden_size` must be a multiple of `num_attention_heads`, got {self.hidden_size} and "
                f"{self.num_attention_heads}. Change one of the two."
            )

    def validate_rates(self) -> None:
        """Raise `ValueError` unless every probability and distillation setting is in its range."""
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "patch_drop_rate")
        for name in names:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 0 and below 1, got {getattr(self, name)}.")
        if not 0 < self.foreign_patch_rate < 1:
            raise ValueError(
                f"`foreign_patch_rate` must be above 0 and below 1, got {self.foreign_patch_rate}."
            )
        if not 0 < self.context_patch_rate <= 1:
            raise ValueError(
                f"`context_patch_rate` must be above 0 and at most 1, got {self.context_patch_rate}."
            )
        if not 0 <= self.distillation_alpha <= 1:
            raise ValueError(f"`distillation_alpha` must be between 0 and 1, got {self.distillation_alpha}.")
        for name in ("distillation_tau", "layer_norm_eps", "initializer_range"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0, got {getattr(self, name)}.")

    def validate_regression(self) -> None:
        """Raise `ValueError` unless each number that is learned has a mean and a standard deviation."""
        mean, std = self.regression_mean, self.regression_std
        if (mean is None) != (std is None) or (mean is not None and len(mean) != len(std)):
            raise ValueError(
                "`regression_mean` and `regression_std` belong together, one number for each label, got "
                f"{mean} and {std}."
            )
        if std is not None and not all(value > 0 for value in std):
            raise ValueError(f"`regression_std` must be above 0, got {std}.")

    def validate_image_size(self) -> None:
        """Raise `ValueError` unless `image_size` is positive, and whole patches if positions need them."""
        sizes = self.image_size if isinstance(self.image_size, list) else [self.image_size]
        if len(sizes) not in (1, 2) or min(sizes) < 1:
            raise ValueError(
                f"`image_size` must be a positive integer or (height, width), got {self.image_size}."
            )
        if self.position_encoding == "absolute" and any(size % self.patch_size for size in sizes):
            raise ValueError(
                f"`image_size` must be whole patches of {self.patch_size} pixels with "
                f'`position_encoding="absolute"`, got {self.image_size}. '
                "Give the encrypted image's size and the encrypted patch's width; "
                "`encryption_config.json` tells the settings."
            )


__all__ = ["PEViTConfig"]
