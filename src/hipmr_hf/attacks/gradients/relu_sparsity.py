"""Tell apart the inputs of a linear layer before a ReLU by the zeros that the ReLU leaves in its gradient.

The gradient of the weight is H^T U, with U (inputs, in_features) wanted and H (inputs, out_features) zero
wherever a unit was off. Its column space is that of H^T = A Q for an orthonormal A that a singular value
decomposition gives; the columns of Q are the directions q in which A q has most zeros.

Source: Dimitrov et al., "SPEAR: exact gradient inversion of batches", NeurIPS 2024: the factorisation,
drawing rows for directions, the scale from the bias, the check by what the layer would switch off.
"""

import torch

_LARGEST = 16
"""Inputs up to which directions are found within the draws; each further one doubles the work."""

_DRAWS, _ROUNDS = 20_000, 25
"""Draws of a round, and rounds at most: some 10 processor seconds."""

_ZERO = 3e-5
"""Shares of a unit vector below this are zero; the rounding of float32 gradients makes some 1e-6."""

_SAME = 1e-4
"""Directions are one where the cosine between them lacks less than this of 1."""

_REFINEMENTS, _CHOICE, _KEPT = 3, 1e-3, 500
_CONSISTENT = 0.99


def tokens_of_relu_layer(
    weight_gradient: torch.Tensor,
    bias_gradient: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    count: int,
    *,
    seed: int = 0,
) -> torch.Tensor | None:
    """Recover the inputs of a layer that a ReLU follows.

    Args:
        weight_gradient: float64 (out_features, in_features).
        bias_gradient: float64 (out_features,).
        weight: float64 (out_features, in_features).
        bias: float64 (out_features,).
        count: inputs (tokens) that the gradient is a sum over.
        seed: of the draws.

    Returns:
        float64 (count, in_features) in no order, or None where they could not be told apart: more than the
        rank, too many for the search, or no ReLU.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> inputs, layer = torch.randn(4, 20).double(), torch.randn(40, 20).double()
        >>> slopes = torch.randn(4, 40).double() * (inputs @ layer.T > 0)
        >>> found = tokens_of_relu_layer(slopes.T @ inputs, slopes.sum(0), layer, torch.zeros(40), 4)
        >>> bool(torch.cdist(inputs, found).min(dim=1).values.max() < 1e-6)
        True
    """
    if not 1 <= count <= min(_LARGEST, *weight_gradient.shape):
        return None
    left, values, right = torch.linalg.svd(weight_gradient, full_matrices=False)
    if values[count - 1] < 1e-7 * values[0]:
        return None
    basis, rest = left[:, :count], values[:count, None] * right[:count]
    length = basis.norm(dim=1)
    unit = basis[length > 1e-4 * length.max()]
    unit = unit / unit.norm(dim=1, keepdim=True)
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[int, torch.Tensor]] = []
    for _ in range(_ROUNDS):
        found = _more_directions(found, unit, generator)
        directions = _independent(found, count)
        if directions is None:
            continue
        scales = torch.linalg.lstsq(basis @ directions, bias_gradient[:, None], driver="gelsd").solution
        tokens = torch.linalg.pinv(directions * scales.T) @ rest
        if _agreement(tokens, basis @ directions, weight, bias) > _CONSISTENT:
            return tokens
    return None


def _agreement(
    tokens: torch.Tensor, slopes: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Share of units that the layer switches on, for a token, where there is a slope, and off elsewhere."""
    slopes = slopes.T.abs()
    on = slopes > _ZERO * slopes.max(dim=1, keepdim=True).values
    return ((tokens @ weight.T + bias > 0) == on).double().mean()


def _more_directions(
    found: list[tuple[int, torch.Tensor]], unit: torch.Tensor, generator: torch.Generator
) -> list[tuple[int, torch.Tensor]]:
    """Add those directions orthogonal to randomly chosen rows that have more zeros, each with its evidence.

    A draw finds a direction if its unit was off in every row drawn, so the work doubles with each token.
    """
    count = unit.shape[1]
    picks = torch.rand(_DRAWS, len(unit), generator=generator).topk(count - 1, dim=1).indices
    normals = torch.linalg.qr(unit[picks].transpose(1, 2), mode="complete").Q[:, :, -1]
    zeros = (unit @ normals.T).abs() < _ZERO
    # count - 1 zeros are always to be had; a true direction has those of every unit that was off.
    for normal in normals[zeros.sum(dim=0) >= count - 1 + max(2, len(unit) // 10)][:_KEPT]:
        evidence, refined = _refine(normal, unit)
        if evidence and all((refined @ other).abs() < 1 - _SAME for _, other in found[:_KEPT]):
            found = [*found, (evidence, refined)]
    return sorted(found, key=lambda one: -one[0])


def _refine(direction: torch.Tensor, unit: torch.Tensor) -> tuple[int, torch.Tensor]:
    """Fit a direction to all its zeros, which tells more than a few rows do; count those that are evidence.

    If two tokens were off in all rows drawn but one, a mixture of the two has these zeros, and the one row
    settles which mixture: it alone spans a dimension (its leverage is 1), and is no evidence.
    """
    rank = unit.shape[1] - 1
    for _ in range(_REFINEMENTS):
        spans, values, rows = torch.linalg.svd(unit[(unit @ direction).abs() < _ZERO])
        if rank and (len(spans) <= rank or values[rank - 1] < _CHOICE * values[0]):
            return 0, direction
        direction = rows[-1]
    leverage = spans[:, :rank].square().sum(dim=1)
    return int((leverage < 1 - _CHOICE).sum()), direction


def _independent(found: list[tuple[int, torch.Tensor]], count: int) -> torch.Tensor | None:
    """Choose the directions of most evidence that are linearly independent: (count, count), a column each."""
    chosen: list[torch.Tensor] = []
    for _, direction in found:
        trial = torch.stack([*chosen, direction])
        if torch.linalg.matrix_rank(trial, rtol=_CHOICE) == len(trial):
            chosen.append(direction)
        if len(chosen) == count:
            return torch.stack(chosen, dim=1)
    return None
