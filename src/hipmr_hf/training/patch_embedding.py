"""Which patch embedding fits images that were encrypted in some way."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..encryption.base import Encryption

logger: logging.Logger = logging.getLogger(__name__)


def fitting_embedding(encryption: Encryption, chosen: str | None = None, *, of_places: bool = False) -> str:
    """Name the patch embedding of a new model for images encrypted like this; one line tells if it is ours.

    Args:
        encryption: settings of the images.
        chosen: the embedding that was asked for; None for the one that fits.
        of_places: whether the model tells what stands where, as a detector does.

    Returns:
        What was asked for; else "texture" where tones are dealt out, since it sees them apart, and
        "texture_only" for places, which they say nothing about; "invariant" where patches are turned, since
        it does not see how; else the paper's: "nonlinear" for MI, "linear" for RS.

    Example:
        >>> from hipmr_hf import Encryption
        >>> fitting_embedding(Encryption.from_preset("classification"))
        'texture'
        >>> fitting_embedding(Encryption.from_preset("reversible"))
        'invariant'
        >>> fitting_embedding(Encryption.from_preset("paper-rs"))
        'linear'
    """
    if chosen is not None:
        return chosen
    if encryption.shuffle_tones:
        fits = "texture_only" if of_places else "texture"
        _tell(fits, "tones are dealt out")
        return fits
    if encryption.sub_patch_symmetries:
        _tell("invariant", "patches are turned")
        return "invariant"
    return "nonlinear" if encryption.strategy == "mi" else "linear"


@functools.cache
def _tell(name: str, reason: str) -> None:
    """Once a process."""
    logger.warning(
        f"The images' {reason}, so the patch embedding is the {name} one; --patch_embedding linear or "
        "nonlinear is the paper's."
    )
