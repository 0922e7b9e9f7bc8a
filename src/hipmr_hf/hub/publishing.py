"""Bring folders to the Hub: inspected first, in one commit, and without touching what people wrote there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputValueError, UnreachableError, hub_told
from ..layout import CARD_FILE
from ..leaks.guard import check_no_leaks

if TYPE_CHECKING:
    from ..encryption.keys import SecretKey

logger: logging.Logger = logging.getLogger(__name__)

# Trainer puts all of these into its output folder. training_args.bin holds paths, host names and, if it was
# given as an argument, the access token; optimizer states are as large as the model, and logs name the host.
_KEPT_AT_HOME = (
    "training_args.bin",
    "trainer_state.json",
    "optimizer.*",
    "scheduler.pt",
    "scaler.pt",
    "rng_state*.pth",
    "averaged_weights.safetensors",
    "checkpoint-*/",
    "runs/",
    "*.key",
)


# Roles in an organisation that may not write; what is not told may be any.
_READERS = ("read", "no_access")


def check_can_push(repo_id: str, *, token: str | None = None) -> None:
    """Ask the Hub, before any work, whether a dataset repository can be made or written to.

    It tells who is logged in and what the token is for. Whether an organisation lets its member write is
    known as far as the Hub tells it; the push may be refused all the same.

    Args:
        repo_id: dataset repository; without a slash, of whoever is logged in.
        token: as in `huggingface_hub`.

    Raises:
        InputValueError: no repository can have that name.
        UnreachableError: the Hub cannot be reached, nobody is logged in, the token is for reading alone, or
            the repository is somebody else's.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    place = f"the push to {repo_id} was checked first"
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputValueError(f"REPO_ID: got {repo_id!r}, expected NAME or OWNER/NAME: {error}") from error
    with hub_told(place):
        who = HfApi(token=token).whoami()
    name = who["name"]
    owner = repo_id.partition("/")[0] if "/" in repo_id else name
    if _only_reads(who):
        raise UnreachableError(
            f"{place}: the token of {name} may only read; make one that may write, and log in with it: "
            "`hf auth login`."
        )
    roles = {org["name"]: org.get("roleInOrg") for org in who.get("orgs", ())}
    if owner != name and (owner not in roles or roles[owner] in _READERS):
        raise UnreachableError(
            f"{place}: {name} cannot write to repositories of {owner}; name one of your own, such as "
            f"{name}/{repo_id.rpartition('/')[2]}, or log in as another with `hf auth login`."
        )


def _only_reads(who: dict[str, Any]) -> bool:
    token = who.get("auth", {}).get("accessToken", {})
    if token.get("role") != "fineGrained":
        return token.get("role") == "read"
    granted = token.get("fineGrained", {}).get("scoped", ())
    return not any("repo.write" in scope.get("permissions", ()) for scope in granted)


def push_encrypted_folder(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    keys: Sequence[SecretKey] = (),
    commit_message: str | None = None,
) -> str:
    """Publish a folder that `save_encrypted_dataset` or `hipmr encrypt` wrote, in one commit.

    Old shards of the repository go away in the same commit. What people wrote into its card stays (see
    `card_renewal.merge_card`). A push that broke off is repeated: files that arrived whole are not sent
    again.

    Args:
        folder: the encrypted dataset.
        repo_id: dataset repository; it is created if need be.
        private: create it private.
        token: as in `huggingface_hub`.
        keys: keys whose bytes must not be in any file.
        commit_message: title of the commit; by default one of ours.

    Returns:
        The address of the commit.

    Raises:
        ConnectionError: an upload broke off; nothing of it is to be seen, and it can be repeated.
        LeakError: there is something in the folder that must not be published; raised before any upload.
    """
    from huggingface_hub import HfApi

    from .card_renewal import merge_card

    check_no_leaks(folder, keys=keys)
    api = HfApi(token=token)
    api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
    card, theirs = Path(folder) / CARD_FILE, card_on_the_hub(repo_id, repo_type="dataset", token=token)
    if card.exists():
        ours = card.read_text(encoding="utf-8")
        card.write_text(merge_card(theirs, ours), encoding="utf-8")
    try:
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            delete_patterns=["data/*.parquet"],
            commit_message=commit_message or "Publish the encrypted dataset",
        )
    except RuntimeError as error:  # how the client wraps a failed upload
        raise UnreachableError(
            f"the push to {repo_id} broke off: {error} Nothing of it is to be seen there; repeat it, and "
            "what arrived whole is not sent again."
        ) from error
    return commit.commit_url


def card_on_the_hub(repo_id: str, *, repo_type: str = "model", token: str | None = None) -> str | None:
    """Return the text of a repository's card as it is now; None if there is no card or no repository.

    Errors other than that are raised: a card that cannot be read must not be written over.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    with contextlib.suppress(EntryNotFoundError, RepositoryNotFoundError):
        path = HfApi(token=token).hf_hub_download(repo_id, CARD_FILE, repo_type=repo_type)
        return Path(path).read_text(encoding="utf-8")
    return None


def keep_off_the_hub(output_dir: str | os.PathLike[str], *, also: Sequence[str] = ()) -> Path:
    """Write a `.gitignore` that keeps what Trainer writes for itself out of every push from a folder.

    The Hub obeys it: its client asks which files of a commit are ignored, and sends none of these. Call it
    before training, since Trainer with `push_to_hub=True` pushes whenever it saves.

    Args:
        output_dir: Trainer's; lines that stand in its `.gitignore` already stay.
        also: further patterns, as `.gitignore` has them, such as pictures of single images.

    Returns:
        The `.gitignore`.

    Example:

        >>> import tempfile
        >>> path = keep_off_the_hub(tempfile.mkdtemp(), also=["detections.png"])
        >>> path.name, {"training_args.bin", "detections.png"} <= set(path.read_text().splitlines())
        ('.gitignore', True)
    """
    path = Path(output_dir) / ".gitignore"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines += [pattern for pattern in (*_KEPT_AT_HOME, *also) if pattern not in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
