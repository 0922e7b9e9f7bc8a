"""The total-variation inversion of mixing-up for a batch of images in torch, to start a learned decoder from.

The same scheme as `mixing_inversion.total_variation_inversion`, in single precision and with fewer inner
iterations, which the dual variable makes up for by going on from where it was; so there is time for more
steps, which find more.

Sources: Rudin, Osher, Fatemi 1992; Chambolle, J. Math. Imaging Vision 20, 2004.
"""

from collections.abc import Callable

import torch

_STEPS, _INNER = 300, 2
_STRENGTH, _FINAL_STRENGTH = 40 / 127.5, 1 / 127.5
_DUAL_STEP = 0.248

Images = Callable[[torch.Tensor], torch.Tensor]


def small_total_variation(encrypted: torch.Tensor, tile: Images, mix: Images) -> torch.Tensor:
    """Look for images of small total variation among all that encrypt to what was seen.

    Args:
        encrypted: (batch, channels, height, width) from -1 to 1.
        tile: repeats mixed patches to the size of plain ones.
        mix: mixes plain images.

    Returns:
        (batch, channels, grid * height, grid * width), about -1 to 1.

    Example:
        >>> same = lambda images: images
        >>> small_total_variation(torch.ones(1, 3, 4, 4), same, same).unique()
        tensor([1.])
    """
    encrypted = encrypted.contiguous()
    guess = tile(encrypted).contiguous()
    down, right = torch.zeros_like(guess), torch.zeros_like(guess)
    for step in range(_STEPS):
        weight = _STRENGTH * (_FINAL_STRENGTH / _STRENGTH) ** (step / (_STEPS - 1))
        for _ in range(_INNER):
            _improve_dual(down, right, guess / weight)
        guess = guess - weight * _divergence(down, right)
        guess = guess + tile(encrypted - mix(guess))
    return guess


def _improve_dual(down: torch.Tensor, right: torch.Tensor, scaled: torch.Tensor) -> None:
    """One iteration of Chambolle 2004, in place; colour channels share their edges."""
    potential = _divergence(down, right).sub_(scaled)
    step_down, step_right = torch.zeros_like(down), torch.zeros_like(right)
    torch.sub(potential[:, :, 1:], potential[:, :, :-1], out=step_down[:, :, :-1])
    torch.sub(potential[..., 1:], potential[..., :-1], out=step_right[..., :-1])
    squares = step_down.square().sum(1, keepdim=True) + step_right.square().sum(1, keepdim=True)
    damping = squares.sqrt_().mul_(_DUAL_STEP).add_(1).reciprocal_()
    down.add_(step_down, alpha=_DUAL_STEP).mul_(damping)
    right.add_(step_right, alpha=_DUAL_STEP).mul_(damping)


def _divergence(down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    result = down + right
    result[:, :, 1:] -= down[:, :, :-1]
    result[..., 1:] -= right[..., :-1]
    return result
