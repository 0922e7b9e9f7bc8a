"""What whoever builds a model may say of its config, new or from a checkpoint: names and values it takes."""

import contextlib
import dataclasses
import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..errors import InputValueError

logger: logging.Logger = logging.getLogger(__name__)

SIZES = ("tiny", "small", "base")

Config = TypeVar("Config", bound=PreTrainedConfig)
Model = TypeVar("Model", bound=PreTrainedModel)


def given(overrides: Mapping[str, Any], *kinds: type[PreTrainedConfig]) -> dict[str, Any]:
    """Return the arguments that are not None, all of which the configs must know.

    A config of transformers takes any name, and so a misspelt one would change nothing.

    Args:
        overrides: by name; None means the default.
        kinds: configs; a name must be one of each.

    Raises:
        InputValueError: a name that one of them does not have.

    Example:
        >>> from hipmr_hf.models import PEViTConfig
        >>> given({"hidden_size": 96, "num_labels": None}, PEViTConfig)
        {'hidden_size': 96}
        >>> given({"hidden_sise": 96}, PEViTConfig)
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: hidden_sise: PEViTConfig has no such argument, did you mean ...?
    """
    for kind in kinds:
        known = {field.name for field in dataclasses.fields(kind)} | {"num_labels"}
        for name in overrides:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                advice = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(sorted(known))}."
                raise InputValueError(f"{name}: {kind.__name__} has no such argument, {advice}")
    return {name: value for name, value in overrides.items() if value is not None}


def sized(kind: type[Config], size: str, **settings: Any) -> Config:
    """Build a config of one of the paper's sizes.

    Args:
        kind: `PEViTConfig` or `PEYolosConfig`.
        size: "tiny", "small" or "base".
        settings: arguments of the config.

    Raises:
        InputValueError: another size, or a value that is not allowed.

    Example:
        >>> from hipmr_hf.models import PEViTConfig
        >>> sized(PEViTConfig, "tiny", num_labels=3).hidden_size
        192
    """
    if size not in SIZES:
        raise InputValueError(f"size: got {size!r}, expected one of {', '.join(map(repr, SIZES))}.")
    with values_told():
        return getattr(kind, size)(**settings)


def loaded(kind: type[Model], checkpoint: str, **settings: Any) -> Model:
    """Load a checkpoint to train it further; what does not fit any more is new, which one line tells.

    Args:
        kind: the model's class.
        checkpoint: folder or Hub repository.
        settings: arguments of its config, in the place of the checkpoint's own, and of `from_pretrained`.

    Raises:
        InputValueError: a value that the config refuses.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # or it lists what is new as if it were an error
    try:
        with values_told():
            model, told = kind.from_pretrained(
                checkpoint, ignore_mismatched_sizes=True, output_loading_info=True, **settings
            )
    finally:
        transformers_logging.set_verbosity(verbosity)
    new = {*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])}
    if new:
        logger.warning(
            "%s: as expected, %d parameters are new, since the checkpoint has none of their shape, and start "
            "with random values: %s",
            checkpoint,
            len(new),
            ", ".join(sorted(new)),
        )
    return model


@contextlib.contextmanager
def values_told() -> Iterator[None]:
    """Turn what a config says about a wrong value into an error of whoever gave it.

    Raises:
        InputValueError: a value of another type or range than the config takes.
    """
    try:
        yield
    except StrictDataclassError as error:
        # "Validation error for field 'hidden_size': TypeError: ..." says it twice
        said = " ".join(str(error).split())
        raise InputValueError(re.sub(r"^.*?(Type|Value)Error: ", "", said)) from error
