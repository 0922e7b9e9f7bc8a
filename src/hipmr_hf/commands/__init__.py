"""The commands of `hipmr`, a module each, which is imported when its command runs.

In: what was typed. Out: an exit code, files, and at the end a `summary` of what was made, where, how much,
what is for good and what comes next. A module has `add_arguments(parser)`, `run(options)`, and `EPILOG`,
examples for its help.
"""

import importlib
from types import ModuleType

COMMANDS = {
    "keygen": "Make a secret key, with which an encryption that loses no pixels can be undone.",
    "encrypt": "Encrypt pictures: every file comes out or is named, and no plain copy is made.",
    "presets": "List the settings that have names, with what each leaves to an attacker and what it costs.",
    "decrypt": "Decrypt a dataset that was shuffled with a key and lost no pixels.",
    "audit": "Attack a sample of your own images and report what comes back.",
    "leaks": "Look into every byte of a dataset or checkpoint for what must not be published.",
    "convert": "Turn a checkpoint of the published program or of transformers into a PEViT or a PEYOLOS.",
    "export": "Write a checkpoint as ONNX, compared with torch, for servers and pages without torch.",
    "env": "Print versions of this package and of what it stands on, for bug reports.",
}
"""What each command does, in the order of their help."""


def load(command: str) -> ModuleType:
    """Import the module of a command.

    Example:

        >>> load("env").__name__
        'hipmr_hf.commands.env'
    """
    return importlib.import_module(f".{command}", __name__)
