"""PEViT's pre-norm transformer block with stochastic depth."""

from collections.abc import Callable

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs

from .configuration_pevit import PEViTConfig


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Unpack[TransformersKwargs],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention on (batch, heads, tokens, head_dim) that returns its weights; its softmax is in float32."""
    weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = nn.functional.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


class PEViTAttention(nn.Module):
    """Multi-head self-attention over all tokens that a mask leaves."""

    def __init__(self, config: PEViTConfig):
        super().__init__()
        self.config = config
        self.head_dim: int = config.hidden_size // config.num_attention_heads
        self.attention_dropout: float = config.attention_probs_dropout_prob
        self.scaling: float = self.head_dim**-0.5
        self.is_causal = False
        self.q_proj: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.k_proj: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.v_proj: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.o_proj: nn.Linear = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(batch, tokens, hidden_size) to the same shape, and the weights if the implementation has them."""
        head_shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        query, key, value = (
            projection(hidden_states).view(head_shape).transpose(1, 2)  # (batch, heads, tokens, head_dim)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.attention_dropout if self.training else 0.0
        output, weights = attention(
            self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **kwargs
        )
        return self.o_proj(output.flatten(2)), weights


class PEViTMLP(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: PEViTConfig):
        super().__init__()
        self.fc1: nn.Linear = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation: nn.Module = ACT2FN[config.hidden_act]
        self.fc2: nn.Linear = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(hidden_states)))


class PEViTDropPath(nn.Module):
    """Stochastic depth: leaves a branch out for an image with probability `rate`, else scales it up."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0.0:
            return branch
        keep = branch.new_empty(branch.shape[0], 1, 1).bernoulli_(1 - self.rate)
        return branch * (keep / (1 - self.rate))

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3g}"


class PEViTLayer(GradientCheckpointingLayer):
    """One pre-norm transformer block."""

    def __init__(self, config: PEViTConfig, layer_idx: int):
        super().__init__()
        # Rises linearly over depth: 0 at the first block, drop_path_rate at the last.
        drop_path_rate = config.drop_path_rate * layer_idx / max(1, config.num_hidden_layers - 1)
        self.layernorm_before: nn.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention: PEViTAttention = PEViTAttention(config)
        self.layernorm_after: nn.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp: PEViTMLP = PEViTMLP(config)
        self.dropout: nn.Dropout = nn.Dropout(config.hidden_dropout_prob)
        self.drop_path: PEViTDropPath = PEViTDropPath(drop_path_rate)

    def forward(self, hidden_states: torch.Tensor, **kwargs: Unpack[TransformersKwargs]) -> torch.Tensor:
        """(batch, tokens, hidden_size) to the same shape; `kwargs` may hold an `attention_mask`."""
        attended, _ = self.attention(self.layernorm_before(hidden_states), **kwargs)
        hidden_states = hidden_states + self.drop_path(self.dropout(attended))
        transformed = self.mlp(self.layernorm_after(hidden_states))
        return hidden_states + self.drop_path(self.dropout(transformed))


class PEViTRegressionHead(nn.Linear):
    """A linear layer whose outputs, of about unit size, are brought to the unit of what is learned."""

    def __init__(self, config: PEViTConfig):
        super().__init__(config.hidden_size, config.num_labels)
        if len(config.regression_mean) != config.num_labels:
            raise ValueError(
                f"`regression_mean` must have a number for each of the {config.num_labels} labels, got "
                f"{config.regression_mean}."
            )
        self.mean: list[float] = list(config.regression_mean)
        self.std: list[float] = list(config.regression_std)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, hidden_size) to (batch, num_labels), in float32 or more: halves have three digits."""
        scores = super().forward(features)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return scores * scores.new_tensor(self.std) + scores.new_tensor(self.mean)


__all__ = ["PEViTAttention", "PEViTLayer", "PEViTRegressionHead"]
