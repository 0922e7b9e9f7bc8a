"""From encrypted pixels to PEViT's tokens: patches, reference-based positional encoding, positions."""

import math

import torch
from torch import nn
from transformers.activations import ACT2FN

from .configuration_pevit import PEViTConfig

NUM_TURNS = 8
# With pixels from -1 to 1, as the image processors make them, these bring the tones of patches to about unit
# size: root mean squares are .4 to .5 for means and .1 to .2 for contrasts, be it photographs, satellite
# tiles or blood smears.
_MEAN_SCALE, _CONTRAST_SCALE = 2.5, 6.0
_VARIANCE_FLOOR = 1e-8
# Of the textures that kernels see: the contrast they are brought to, and the least, half a grey level.
_TEXTURE_CONTRAST, _LEAST_CONTRAST = 0.5, 1 / 255


class PEViTPatchEmbeddings(nn.Module):
    """A convolution over patches; with `patch_embedding="nonlinear"`, GELU and a 1x1 convolution follow."""

    def __init__(self, config: PEViTConfig):
        super().__init__()
        self.patch_size: int = config.patch_size
        self.num_channels: int = config.num_channels
        self.projection: nn.Conv2d = nn.Conv2d(
            config.num_channels, config.hidden_size, config.patch_size, config.patch_size
        )
        self.mixing: nn.Module | None = None
        if config.patch_embedding == "nonlinear":
            self.mixing = nn.Sequential(
                ACT2FN[config.hidden_act], nn.Conv2d(config.hidden_size, config.hidden_size, 1)
            )

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to the feature map (batch, hidden_size, rows, columns)."""
        if pixel_values.ndim != 4 or pixel_values.shape[1] != self.num_channels:
            raise ValueError(
                f"`pixel_values` must have the shape (batch, {self.num_channels}, height, width), got "
                f"{tuple(pixel_values.shape)}. `num_channels` of the config sets the number of channels."
            )
        if pixel_values.shape[2] % self.patch_size or pixel_values.shape[3] % self.patch_size:
            raise ValueError(
                f"`pixel_values` must be whole patches of {self.patch_size} pixels, got height and width "
                f"{tuple(pixel_values.shape[2:])}. Encrypt it with the settings of the training images."
            )
        return self.embed(pixel_values)

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """As `forward`, for pixel values of the right shape."""
        features = self.projection(self.seen(pixel_values).to(self.projection.weight.dtype))
        return features if self.mixing is None else self.mixing(features)

    def seen(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """What the kernels see: the pixels as they are."""
        return pixel_values


class PEViTInvariantPatchEmbeddings(PEViTPatchEmbeddings):
    """Tokens that stay the same when a patch is turned: t = B mean_k act(A T_k(x) + a) + C [m; s] + b.

    T_k are the eight symmetries of the square, m and s the mean and the standard deviation of a patch, per
    channel. A and a are `projection`, B and b `mixing`, C `tones`.
    """

    def __init__(self, config: PEViTConfig):
        super().__init__(config)
        self.activation: nn.Module = ACT2FN[config.hidden_act]
        self.mixing: nn.Module | None = nn.Conv2d(config.hidden_size, config.hidden_size, 1)
        self.tones: nn.Conv2d | None = None
        if config.patch_embedding == "invariant":
            self.tones = nn.Conv2d(2 * config.num_channels, config.hidden_size, 1, bias=False)

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """As `forward`, for pixel values of the right shape."""
        # Turning the kernels does what turning the patches would, and is done once for all of them.
        kernels, biases = torch.cat(turned(self.projection.weight)), self.projection.bias.repeat(NUM_TURNS)
        pixels = self.seen(pixel_values).to(kernels.dtype)
        features = nn.functional.conv2d(pixels, kernels, biases, self.patch_size)
        # (batch, 8 * hidden_size, rows, columns) to (batch, hidden_size, rows, columns)
        features = self.activation(features).unflatten(1, (NUM_TURNS, -1)).mean(dim=1)
        tokens = self.mixing(features)
        if self.tones is None:
            return tokens
        return tokens + self.tones(self.measure_tones(pixel_values).to(kernels.dtype))

    def tile(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to (batch, channels, rows, patch_size, columns, patch_size)."""
        # At least float32: half precision loses the contrast of patches that are nearly flat.
        pixels = pixel_values.to(torch.promote_types(self.projection.weight.dtype, torch.float32))
        return pixels.unflatten(3, (-1, self.patch_size)).unflatten(2, (-1, self.patch_size))

    def measure_tones(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Means, then contrasts, of about unit size: (batch, 2 * channels, rows, columns)."""
        tiled = self.tile(pixel_values)
        mean = tiled.mean((3, 5), keepdim=True)
        variance = (tiled - mean).square().mean((3, 5))  # a third of the time that torch.var_mean takes
        # The floor keeps the root's gradient finite where a patch is flat.
        contrast = variance.clamp(min=_VARIANCE_FLOOR).sqrt()
        return torch.cat((_MEAN_SCALE * mean[:, :, :, 0, :, 0], _CONTRAST_SCALE * contrast), dim=1)


class PEViTTexturePatchEmbeddings(PEViTInvariantPatchEmbeddings):
    """Tokens of textures, without tones: t = B mean_k act(A T_k((x - m) / s) + a) + b, m and s per channel.

    Where tones are dealt out, a contrast that came from elsewhere would scale all that the kernels find, and
    the tone itself says nothing of its place.
    """

    def seen(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """What the kernels see: every patch less its mean and brought to one contrast, per channel."""
        tiled = self.tile(pixel_values)
        texture = tiled - tiled.mean((3, 5), keepdim=True)
        variance = texture.square().mean((3, 5), keepdim=True)
        texture = texture * (_TEXTURE_CONTRAST / variance.clamp(min=_LEAST_CONTRAST**2).sqrt())
        return texture.flatten(4, 5).flatten(2, 3)


def turned(squares: torch.Tensor) -> list[torch.Tensor]:
    """Tensors (..., size, size) under each of the eight symmetries of the square.

    >>> len({tuple(square.flatten().tolist()) for square in turned(torch.arange(4).reshape(2, 2))})
    8
    """
    sides = (squares, squares.transpose(-1, -2))
    return [side.flip(axes) if axes else side for side in sides for axes in ((), (-1,), (-2,), (-2, -1))]


def build_patch_embeddings(config: PEViTConfig) -> PEViTPatchEmbeddings:
    """The patch embedding that `config.patch_embedding` names; a PEYOLOS config will do as well."""
    ours = {"invariant": PEViTInvariantPatchEmbeddings, "texture": PEViTTexturePatchEmbeddings}
    return ours.get(config.patch_embedding, PEViTPatchEmbeddings)(config)


class PEViTReferenceEncoding(nn.Module):
    """Reference-based positional encoding (RPE): e_i = t_i + F(t_i - reference), for patches in any order."""

    def __init__(self, config: PEViTConfig):
        super().__init__()
        self.reference: nn.Parameter = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.fc1: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size)
        self.fc2: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, patch_tokens: torch.Tensor) -> torch.Tensor:
        """(batch, num_patches, hidden_size) to the same shape."""
        offset = nn.functional.relu(self.fc1(patch_tokens - self.reference))
        return patch_tokens + torch.sigmoid(self.fc2(offset))


class PEViTEmbeddings(nn.Module):
    """Builds the sequence [cls; (dist;) (registers;) patches].

    cls, dist and registers get no reference encoding; absolute positions have rows of their own for them.
    """

    def __init__(self, config: PEViTConfig):
        super().__init__()
        self.patch_drop_rate: float = config.patch_drop_rate
        self.position_grid: tuple[int, int] = config.position_grid
        self.cls_token: nn.Parameter = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.distillation_token: nn.Parameter | None = None
        self.register_tokens: nn.Parameter | None = None
        self.reference_encoding: PEViTReferenceEncoding | None = None
        self.position_embeddings: nn.Parameter | None = None
        if config.use_distillation_token:
            self.distillation_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        if config.num_register_tokens:
            shape = (1, config.num_register_tokens, config.hidden_size)
            self.register_tokens = nn.Parameter(torch.zeros(shape))
        self.num_prefix_tokens = 1 + config.use_distillation_token + config.num_register_tokens
        self.patch_embeddings: PEViTPatchEmbeddings = build_patch_embeddings(config)
        if config.position_encoding == "reference":
            self.reference_encoding = PEViTReferenceEncoding(config)
        elif config.position_encoding == "absolute":
            num_positions = self.num_prefix_tokens + math.prod(self.position_grid)
            self.position_embeddings = nn.Parameter(torch.zeros(1, num_positions, config.hidden_size))
        self.dropout: nn.Dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to (batch, num_prefix_tokens + num_patches, hidden_size)."""
        features = self.patch_embeddings(pixel_values)
        patches = features.flatten(2).transpose(1, 2)  # (batch, num_patches, hidden_size)
        prefix = self.cls_token
        if self.distillation_token is not None:
            prefix = torch.cat((prefix, self.distillation_token), dim=1)
        if self.register_tokens is not None:
            prefix = torch.cat((prefix, self.register_tokens), dim=1)
        if self.reference_encoding is not None:
            patches = self.reference_encoding(patches)
        if self.position_embeddings is not None:
            positions = self.resize_positions(features.shape[2], features.shape[3])
            patches = patches + positions[:, self.num_prefix_tokens :]
            prefix = prefix + positions[:, : self.num_prefix_tokens]
        if self.training and self.patch_drop_rate > 0:
            patches = self.drop_patches(patches)
        return self.dropout(torch.cat((prefix.expand(patches.shape[0], -1, -1), patches), dim=1))

    def resize_positions(self, rows: int, columns: int) -> torch.Tensor:
        """Positions (1, num_prefix_tokens + rows * columns, hidden_size) of a grid, resized bicubically."""
        # An exported graph must not be held to the one grid; resized to itself, it stays as it is.
        if not torch.compiler.is_exporting() and (rows, columns) == self.position_grid:
            return self.position_embeddings
        prefix, grid = self.position_embeddings.tensor_split([self.num_prefix_tokens], dim=1)
        grid = grid.unflatten(1, self.position_grid).permute(0, 3, 1, 2)
        grid = nn.functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat((prefix, grid.flatten(2).transpose(1, 2)), dim=1)

    def drop_patches(self, patches: torch.Tensor) -> torch.Tensor:
        """Keep a random share 1 - patch_drop_rate of the patches of every image, at least one."""
        batch_size, num_patches, hidden_size = patches.shape
        num_kept = max(1, round(num_patches * (1 - self.patch_drop_rate)))
        kept = torch.rand(batch_size, num_patches, device=patches.device).argsort(dim=1)[:, :num_kept]
        return patches.gather(1, kept.unsqueeze(-1).expand(-1, -1, hidden_size))


__all__ = [
    "PEViTEmbeddings",
    "PEViTInvariantPatchEmbeddings",
    "PEViTPatchEmbeddings",
    "PEViTReferenceEncoding",
    "PEViTTexturePatchEmbeddings",
    "build_patch_embeddings",
    "turned",
]
