"""Where the client in JavaScript lies, and what runs and measures it."""

import importlib.util
import shutil
import warnings
from pathlib import Path
from types import ModuleType

import pytest

CLIENT = Path(__file__).resolve().parent.parent / "clients" / "browser"
TOOLS = CLIENT / "node_modules"
NO_NODE = "node is not installed, so hipmr.js was NOT held against Python; install node 18 or newer"
NO_TOOLS = (
    "NOT measured: run `npm --prefix clients/browser install` for what minifies and what drives browsers"
)


def skip_loudly(reason: str) -> None:
    """Skip, and leave a line among the warnings, which even a quiet run prints."""
    warnings.warn(reason, stacklevel=2)
    pytest.skip(reason)


def find_node() -> str:
    found = shutil.which("node")
    if found is None:
        skip_loudly(NO_NODE)
    return str(found)


def find_tool(name: str) -> Path:
    """A package that `npm install` put beside the client."""
    if not (TOOLS / name).exists():
        skip_loudly(f"{name}: {NO_TOOLS}")
    return TOOLS / name


def load_example(name: str) -> ModuleType:
    """A script of `examples/` as a module."""
    path = CLIENT.parent.parent / "examples" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
