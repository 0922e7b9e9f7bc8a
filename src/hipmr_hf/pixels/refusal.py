"""Why a picture is refused."""

from ..errors import InputValueError


class ImageReadingError(InputValueError):
    """A picture that is refused: corrupt, truncated, of several frames, too large, or of an unknown mode.

    The message never holds a path, a file name, metadata, or the text of PIL's own error, which may hold
    them.
    """
