"""Train an attacker's network for a given processor time: the more it is given, the more it finds."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...errors import InputValueError

_WARM_UP = 0.05
_WEIGHT_DECAY = 0.02
_CLIP = 1.0

Progress = Callable[[float, str], None]


def train_for(
    network: nn.Module,
    loss_of_a_batch: Callable[[], torch.Tensor],
    *,
    cpu_seconds: float,
    max_steps: int | None = None,
    learning_rate: float = 1e-3,
    validate: Callable[[], dict[str, float]] | None = None,
    evaluations: int = 5,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Train with AdamW; the learning rate falls along a cosine to the end of the time or of the steps.

    Args:
        network: trained in place; in evaluation mode afterwards.
        loss_of_a_batch: draws a fresh batch and returns its loss.
        cpu_seconds: processor time of this process (all threads) to spend; at least one step is made.
        max_steps: stop after so many steps, if the time is not up before; None for no limit.
        learning_rate: highest one, after a short warm-up.
        validate: measures the network on images that it does not train on; without it the curve has the
            training loss alone.
        evaluations: points of the curve.
        progress: called with the fraction done, 0 to 1, and a few words.

    Returns:
        The effort (steps, cpu_seconds, parameters), and the curve: a list of step, cpu_seconds, loss (mean
        since the last point) and what `validate` measured.

    Raises:
        ValueError: no time, or no steps.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> effort, curve = train_for(
        ...     layer, lambda: layer(torch.ones(1, 1)).square().mean(), cpu_seconds=60, max_steps=20)
        >>> effort["steps"], curve[-1]["step"], curve[-1]["loss"] < curve[0]["loss"]
        (20, 20, True)
    """
    _check_bounds(cpu_seconds, max_steps)
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=_WEIGHT_DECAY)
    started, step, done, losses, curve = time.process_time(), 0, 0.0, [], []
    while done < 1:
        network.train()
        _set_learning_rate(optimizer, learning_rate, done)
        losses.append(_step(network, optimizer, loss_of_a_batch))
        step += 1
        spent = time.process_time() - started
        done = min(1.0, max(spent / cpu_seconds, step / max_steps if max_steps else 0.0))
        if done * evaluations >= len(curve) + 1:
            network.eval()
            measured = validate() if validate is not None else {}
            point = {"step": step, "cpu_seconds": spent, "loss": sum(losses) / len(losses)}
            curve.append(point | measured)
            losses = []
        if progress is not None:
            progress(done, f"step {step}")
    network.eval()
    parameters = sum(weight.numel() for weight in network.parameters())
    return {"steps": step, "cpu_seconds": time.process_time() - started, "parameters": parameters}, curve


def _check_bounds(cpu_seconds: float, max_steps: int | None) -> None:
    if not cpu_seconds > 0:
        raise InputValueError(f"cpu_seconds: got {cpu_seconds}, expected more than 0 seconds of training.")
    if max_steps is not None and max_steps < 1:
        raise InputValueError(f"max_steps: got {max_steps}, expected 1 or more, or None for no limit.")


def _set_learning_rate(optimizer: torch.optim.Optimizer, highest: float, done: float) -> None:
    cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done)).item())
    for group in optimizer.param_groups:
        group["lr"] = highest * min(1.0, (done + 1e-3) / _WARM_UP) * (0.01 + 0.99 * cosine)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, loss_of_a_batch: Callable) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of_a_batch()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
    optimizer.step()
    return float(loss.detach())
