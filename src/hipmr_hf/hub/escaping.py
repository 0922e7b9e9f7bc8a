"""Names of other people's columns, folders and repositories, written so that a card stays what it is.

A card is Markdown with blocks of code, and our part of it is found again by its marks. Whatever comes from
elsewhere goes through one of these, by where it stands: in running text, in a cell of a table, as code, in a
line of Python, in a block, in an address.
"""

import re
from urllib.parse import quote

_COMMENT = "<!--"
# An underscore within a word, as in most names, is no markup.
_MARKDOWN = re.compile(r"([\\`*~\[\]|]|(?<![^\W_])_|_(?![^\W_]))")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def text(value: object) -> str:
    r"""Write what is plain text, for a line or a cell: no markup, no HTML, no new line.

    Example:
        >>> text("a|b\n<!-- end --> `c`")
        'a\\|b &lt;!-- end --&gt; \\`c\\`'
    """
    line = _MARKDOWN.sub(r"\\\1", one_line(value))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(value: object) -> str:
    """Write a name as code in a line.

    Example:
        >>> code("label"), code("a`b")
        ('`label`', '`` a`b ``')
    """
    line = without_comments(one_line(value)) or " "
    if "`" not in line:
        return f"`{line}`"
    fence = "`" * (_longest_run(line) + 1)
    return f"{fence} {line} {fence}"


def python_string(value: object) -> str:
    r"""Write a string of Python that reads as the value, and ends neither its line nor its block.

    Example:
        >>> python_string("me/scans"), python_string('"); import os  # `<')
        ('"me/scans"', '"\\"); import os  # \\x60\\x3c"')
    """
    escaped = str(value).encode("unicode_escape").decode("ascii")
    for character in '"`<':
        escaped = escaped.replace(character, '\\"' if character == '"' else f"\\x{ord(character):02x}")
    return f'"{escaped}"'


def block(value: str, language: str) -> str:
    """Write a block of code that the value cannot end.

    Example:
        >>> print(block("train.py", "bash"))
        ```bash
        train.py
        ```
    """
    fence = "`" * max(3, _longest_run(value) + 1)
    return f"{fence}{language}\n{without_comments(value)}\n{fence}"


def link(name: str, address: str) -> str:
    """Write a link to a repository, whose name ends the address.

    Example:
        >>> link("me/scans", "https://hf.co/datasets/")
        '[me/scans](https://hf.co/datasets/me/scans)'
    """
    return f"[{text(name)}]({address}{quote(name, safe='/-._~')})"


def one_line(value: object) -> str:
    """Put all on one line."""
    return _BREAKS.sub(" ", str(value))


def without_comments(value: str) -> str:
    """Break what would begin a comment, such as our marks."""
    return value.replace(_COMMENT, "<! --")


def _longest_run(value: str) -> int:
    return max(map(len, re.findall("`+", value)), default=0)
