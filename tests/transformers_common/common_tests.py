"""Loads the common tests out of an unpacked source distribution of transformers."""

import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
import transformers

SOURCE = os.environ.get("TRANSFORMERS_TESTS")
if not SOURCE:
    pytest.skip(
        "TRANSFORMERS_TESTS names no unpacked source distribution of transformers", allow_module_level=True
    )

PACKAGE = "transformers_source_tests"  # a name that cannot collide with this project's own tests
# The distribution leaves out helpers that its common tests import; they need no more of them than this.
MISSING_HELPERS = {
    f"{PACKAGE}.exporters": {},
    f"{PACKAGE}.exporters.test_export": {"ExportTesterMixin": type("ExportTesterMixin", (), {})},
    f"{PACKAGE}.generation": {},
    f"{PACKAGE}.generation.test_utils": {"GenerationTesterMixin": type("GenerationTesterMixin", (), {})},
    f"{PACKAGE}.utils": {},
    f"{PACKAGE}.utils.test_configuration_utils": {"config_common_kwargs": {"return_dict": False}},
    "fetch_hub_objects_for_ci": {"url_to_local_path": lambda url: url},
}


def load_common(name: str) -> types.ModuleType:
    """A module of the source distribution's `tests` folder."""
    folder = Path(SOURCE) / "tests"
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_loader(PACKAGE, loader=None, is_package=True)
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
        sys.modules[PACKAGE].__path__ = [str(folder)]
        for module_name, contents in MISSING_HELPERS.items():
            sys.modules[module_name] = types.ModuleType(module_name)
            vars(sys.modules[module_name]).update(contents)
    # It imports a second transformers from the repository around it, of which the distribution has no copy.
    with mock.patch("transformers.utils.direct_transformers_import", lambda *_: transformers):
        return importlib.import_module(f"{PACKAGE}.{name}")
