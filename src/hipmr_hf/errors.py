"""What bad input raises: one base, which the command line tells in one line; all else is our own mistake.

Each class also is the built-in error that it refines, so `except ValueError` catches what it always caught.
A message names the argument, what came, what is allowed and what to do.
"""

import contextlib
import importlib.util
from collections.abc import Iterator


class UserError(Exception):
    """Something that whoever calls can mend."""


class InputValueError(UserError, ValueError):
    """A value that is not allowed, or data that cannot be used."""


class ImageReadingError(InputValueError):
    """A picture that is refused: corrupt, truncated, of several frames, too large, or of an unknown mode.

    The message never holds a path, a file name, metadata, or the text of PIL's own error, which may hold
    them.
    """


class InputTypeError(UserError, TypeError):
    """An argument of another kind than is allowed."""


class MissingFileError(UserError, FileNotFoundError):
    """A file, folder or repository that is not there."""


class FileInUseError(UserError, FileExistsError):
    """A place that must be free, and is not."""


class FileAccessError(UserError, PermissionError):
    """A file that others can read, or that its reader may not."""


class UnreachableError(UserError, ConnectionError):
    """The Hub, or a cluster, that cannot be reached, refuses, or breaks off."""


class LostWorkerError(UserError, ChildProcessError):
    """A worker process that was killed, by whomever."""


class MissingExtraError(UserError, ImportError):
    """A library that comes with an extra that is not installed.

    Args:
        what: what needs it, such as "the detection loss".
        extra: of this package, such as "detection".

    Example:

        >>> str(MissingExtraError("training", "torch"))
        'training needs a library that is not installed; run: pip install "hipmr-hf[torch]"'
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f'{what} needs a library that is not installed; run: pip install "hipmr-hf[{extra}]"'
        )


@contextlib.contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Say which extra to install if an import below fails for want of another package.

    Args:
        what, extra: as in `MissingExtraError`.

    Raises:
        MissingExtraError: a module that is not of this package is missing.

    Example:

        >>> with needs_extra("training", "torch"):
        ...     import a_library_that_is_not_there
        Traceback (most recent call last):
        hipmr_hf.errors.MissingExtraError: training needs a library ... run: pip install "hipmr-hf[torch]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise  # a mistake of ours
        raise MissingExtraError(what, extra) from error


def check_extra(what: str, extra: str, *libraries: str) -> None:
    """Say which extra to install if one of its libraries is missing; none is imported.

    Args:
        what, extra: as in `MissingExtraError`.
        libraries: names to import.

    Raises:
        MissingExtraError: one of them is missing.

    Example:

        >>> check_extra("training", "torch", "numpy", "a_library_that_is_not_there")
        Traceback (most recent call last):
        hipmr_hf.errors.MissingExtraError: training needs a library ... run: pip install "hipmr-hf[torch]"
    """
    with needs_extra(what, extra):
        for library in libraries:
            if importlib.util.find_spec(library) is None:
                raise ModuleNotFoundError(name=library)


@contextlib.contextmanager
def hub_told(place: str) -> Iterator[None]:
    """Tell in one line what the Hub, or the way to it, did not let happen.

    Args:
        place: what was asked of it, such as "model me/pevit".

    Raises:
        MissingFileError: there is no such repository, revision or file, or not for this token.
        UnreachableError: it refused, or could not be reached.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = told_of_hub(place, error)
        if told is None:
            raise
        raise told from error


def told_of_hub(place: str, error: Exception) -> UserError | None:
    """Return in our words what the Hub, or the way to it, did not let happen; None for any other error."""
    if not type(error).__module__.startswith(("huggingface_hub", "httpx", "requests")):
        return None
    from huggingface_hub import errors

    if isinstance(error, errors.LocalTokenNotFoundError):
        return UnreachableError(f"{place}: nobody is logged in to the Hub; log in with `hf auth login`.")
    if isinstance(error, (errors.RepositoryNotFoundError, errors.HFValidationError)):
        return MissingFileError(
            f"{place}: no such repository that you can read; check the name, or log in with `hf auth login`."
        )
    if isinstance(error, (errors.EntryNotFoundError, errors.RevisionNotFoundError)):
        return MissingFileError(f"{place}: the repository has no such file or revision; check the name.")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return UnreachableError(
            f"{place}: the Hub refuses (status {status}); log in with `hf auth login`, and check what your "
            "token may do."
        )
    if isinstance(error, errors.HfHubHTTPError):
        return UnreachableError(f"{place}: the Hub answered {status or 'with an error'}; try again later.")
    if type(error).__module__.startswith(("httpx", "requests")) or isinstance(
        error, errors.OfflineModeIsEnabled
    ):
        return UnreachableError(
            f"{place}: the Hub cannot be reached ({type(error).__name__}); check the network, HF_ENDPOINT "
            "and "
            "HF_HUB_OFFLINE."
        )
    return None
