"""Make griffe see what our docstrings mean: an extension of it."""

import re
import textwrap

import griffe


def with_examples(text: str) -> str:
    r"""Return the docstring with its example, which comes last, as the section "Examples:" of griffe.

    Example:

        >>> with_examples("Add.\n\nExample:\n\n>>> 1 + 1\n2")
        'Add.\n\nExamples:\n    >>> 1 + 1\n    2'
    """
    parts = re.split(r"Example:\n+|(?<=\n\n)(?=>>> )", text, maxsplit=1)
    inside = textwrap.indent(textwrap.dedent(parts[-1]), "    ")
    return f"{parts[0]}Examples:\n{inside}" if len(parts) == 2 else text


def without_ticks(text: str) -> str:
    r"""Return the docstring with the types of its arguments bare, where transformers' style ticks them.

    Example:

        >>> without_ticks("Args:\n    width (`int`, defaults to `8`): Of `it`.")
        'Args:\n    width (int, defaults to 8): Of `it`.'
    """
    return re.sub(r"^ +\w+ \(.*?\):", lambda match: match[0].replace("`", ""), text, flags=re.MULTILINE)


class Docstrings(griffe.Extension):
    """Mend every docstring before it is read."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Griffe calls it with everything that it finds."""
        if obj.docstring is not None:
            obj.docstring.value = without_ticks(with_examples(obj.docstring.value))
