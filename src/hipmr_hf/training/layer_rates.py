"""Learning rates that fall from the head of a model to its patches, for training on from given weights."""

import re

import torch
from transformers import PreTrainedModel

_LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)\.")


def depth_below_head(name: str, num_layers: int) -> int:
    """Count the blocks between a parameter and the head: 0 for the head, most for embeddings.

    >>> names = "classifier.weight", "pevit.layers.2.norm1.bias", "pevit.embeddings.cls_token"
    >>> [depth_below_head(name, 3) for name in names]
    [0, 1, 4]
    """
    if found := _LAYER.search(name):
        return num_layers - int(found.group(1))
    return num_layers + 1 if "embeddings." in name else 0


def decay_rates_by_layer(optimizer: torch.optim.Optimizer, model: PreTrainedModel, decay: float) -> None:
    """Multiply the rate of every block by `decay` once more than that of the block above it.

    Small steps below keep what pre-trained blocks know. Converted weights need them all the more where a
    LayerScale was folded in: a step of a folded matrix moves a block by one over that scale more, which for
    DINOv2 is four times in the first blocks and a fifth in the last.

    Args:
        optimizer: new, without a schedule yet; its groups are split, and keep all but their rate.
        model: whose parameters, or some of them, it has; before any wrapper changes their names.
        decay: from 0 to 1; 1 leaves all rates as they are.

    Example:

        >>> from hipmr_hf import PEViTConfig, PEViTModel
        >>> model = PEViTModel(PEViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        >>> decay_rates_by_layer(optimizer, model, 0.5)
        >>> sorted(group["lr"] for group in optimizer.param_groups)
        [0.25, 0.5, 1.0]

    Source: Clark et al., ELECTRA, 2020; Bao et al., BEiT, 2022.
    """
    if decay == 1:
        return
    layers = model.config.num_hidden_layers
    depths = {id(value): depth_below_head(name, layers) for name, value in model.named_parameters()}
    groups, optimizer.param_groups = optimizer.param_groups, []
    for group in groups:
        for depth in sorted({depths[id(value)] for value in group["params"]}):
            chosen = [value for value in group["params"] if depths[id(value)] == depth]
            optimizer.add_param_group({**group, "params": chosen, "lr": group["lr"] * decay**depth})
