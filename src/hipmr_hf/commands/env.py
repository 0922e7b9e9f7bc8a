"""`hipmr env`: what a bug report needs."""

import argparse

EPILOG = """\
example:
  hipmr env

It prints no path, name or setting of the machine. More: CONTRIBUTING.md"""

_PACKAGES = (
    "transformers",
    "datasets",
    "accelerate",
    "evaluate",
    "huggingface_hub",
    "safetensors",
    "torch",
    "numpy",
    "pillow",
    "pyarrow",
    "cryptography",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare that `hipmr env` takes nothing."""


def run(options: argparse.Namespace) -> None:
    """Print the versions; no path, name or setting of the machine, so that it can be pasted anywhere."""
    import os
    import platform

    from ..layout import __version__

    rows = {
        "hipmr-hf": __version__,
        "Python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "CPU cores": str(os.cpu_count()),
        **{name: _version_of(name) for name in _PACKAGES},
        "accelerator": _accelerator(),
    }
    for name, value in rows.items():
        print(f"{name}: {value}")


def _version_of(package: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _accelerator() -> str:
    try:
        import torch
    except ImportError:
        return "unknown, for torch is not installed"
    if not torch.cuda.is_available():
        return "none that torch sees"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
