"""Make the Auto classes of transformers know this package's models, without importing transformers.

`import hipmr_hf` must be cheap, and `AutoModel.from_pretrained` must find a PEViT after it, whichever of
hipmr_hf and transformers was imported first. So two methods that every Auto class goes through on its way to
a checkpoint, `AutoConfig.from_pretrained` and `AutoImageProcessor.from_pretrained`, are made to import
`hipmr_hf.models` before their first call: at once where transformers has been imported, else right after it
has been. Importing the models at that point instead would fail, because `from transformers import ViTModel`
reaches the Auto classes while modules that the models need are still half imported.
"""

import functools
import importlib
import importlib.machinery
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

logger: logging.Logger = logging.getLogger(__name__)

_ENTRANCES = {
    "transformers.models.auto.configuration_auto": "AutoConfig",
    "transformers.models.auto.image_processing_auto": "AutoImageProcessor",
}


def install() -> None:
    """Arrange the registration; calling it again changes nothing."""
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    for name in _ENTRANCES:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, _ENTRANCES[name]):
            _register_before_use(module)


def _register_before_use(module: ModuleType) -> None:
    auto_class = getattr(module, _ENTRANCES[module.__name__])
    original = auto_class.from_pretrained.__func__
    if hasattr(original, "__hipmr_hf__"):
        return

    @functools.wraps(original)
    def from_pretrained(cls: type, *args: object, **kwargs: object) -> object:
        _register()
        return original(cls, *args, **kwargs)

    from_pretrained.__hipmr_hf__ = True
    auto_class.from_pretrained = classmethod(from_pretrained)


@functools.cache
def _register() -> None:
    try:
        importlib.import_module("hipmr_hf.models")
    except Exception as error:  # whatever is broken here must not break loading other models
        logger.warning("The models of hipmr_hf are not registered with transformers: %s", error)


class _AfterImport:  # a meta path finder; its abstract base would import a lot
    """Finds the modules of the Auto classes as usual, and prepares them once they have been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in _ENTRANCES else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            try:
                _register_before_use(module)
            except Exception as error:  # another transformers; its own import must go on
                logger.warning("hipmr_hf cannot register its models with this transformers: %s", error)

        spec.loader.exec_module = exec_module
        return spec
