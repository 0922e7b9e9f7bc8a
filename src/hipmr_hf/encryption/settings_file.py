"""Encryption settings as plain values, as `encryption_config.json` and on the Hub; never with a key."""

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..errors import InputTypeError, InputValueError, MissingFileError
from ..files import write_whole
from ..layout import SETTINGS_FILE
from .presets import settings_of_preset
from .weaknesses import warn_of_weaknesses

if TYPE_CHECKING:
    from .placement import Sides

FORMAT_VERSION = 1

# Younger than the format, with what a file means that has them not. They are written only where they differ
# from it, for the settings as they are written are part of what keyed streams are derived from.
_LATER_FIELDS = {"shuffle_tones": False, "jpeg_decoding": "full"}

SettingsType = TypeVar("SettingsType", bound="SettingsFile")


class SettingsFile:
    """Gives frozen dataclasses, one per `strategy`, their dictionaries and files."""

    strategy: ClassVar[str]
    _kinds: ClassVar[dict[str, type["SettingsFile"]]] = {}

    def __init_subclass__(cls) -> None:
        if "strategy" in cls.__dict__:
            SettingsFile._kinds[cls.strategy] = cls

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values; never a key.

        `shuffle_tones` is left out where it is False, and `jpeg_decoding` where it is "full": older releases
        read and derive the same from it.
        """
        values = dataclasses.asdict(self)
        missing = object()
        values = {name: value for name, value in values.items() if value != _LATER_FIELDS.get(name, missing)}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"format_version": FORMAT_VERSION, "strategy": self.strategy, **values}

    @classmethod
    def from_dict(cls: type[SettingsType], settings: dict[str, Any]) -> SettingsType:
        """Build settings from `to_dict`'s values; `Encryption.from_dict` takes either strategy.

        Raises:
            TypeError, ValueError: another format version, an unknown strategy or setting, a missing one, a
                value out of range, or the other strategy.
        """
        if not isinstance(settings, dict):
            raise InputTypeError(f"settings: got {type(settings).__name__}, expected a JSON object.")
        values = dict(settings)
        version, strategy = values.pop("format_version", None), values.pop("strategy", None)
        if version != FORMAT_VERSION:
            raise InputValueError(
                f"format_version: got {version!r}, this release reads {FORMAT_VERSION}; "
                "install the release of hipmr-hf that wrote the settings."
            )
        kind = cls._kind(strategy)
        known = {field.name for field in dataclasses.fields(kind)}
        unknown, missing = sorted(values.keys() - known), sorted(known - values.keys() - _LATER_FIELDS.keys())
        if unknown or missing:
            raise InputValueError(
                f"settings: {strategy!r} has unknown {unknown} and lacks {missing}; expected {sorted(known)}."
            )
        return kind(**{**_LATER_FIELDS, **values})

    @classmethod
    def _kind(cls: type[SettingsType], strategy: Any) -> type[SettingsType]:
        readable = {name: kind for name, kind in SettingsFile._kinds.items() if issubclass(kind, cls)}
        if not isinstance(strategy, str) or strategy not in readable:
            raise InputValueError(
                f"strategy: got {strategy!r}, {cls.__name__} reads {' or '.join(map(repr, readable))}; "
                "Encryption.from_pretrained reads any of them."
            )
        return readable[strategy]

    def _to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> Path:
        """Write `encryption_config.json` into a folder, whole or not at all; returns its path."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        return write_whole(folder / SETTINGS_FILE, self._to_json())

    @classmethod
    def from_pretrained(
        cls: type[SettingsType],
        repo_or_dir: str | os.PathLike[str],
        *,
        repo_type: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
    ) -> SettingsType:
        """Read the settings that go with an encrypted dataset or with a model trained on one.

        Settings that hide next to nothing are taken, with a warning: see `weaknesses`.

        Args:
            repo_or_dir: a local folder, or a repository on the Hub.
            repo_type: "model" or "dataset"; by default a model is looked for first, then a dataset.
            revision: branch, tag or commit on the Hub.
            token: as in `huggingface_hub`.

        Raises:
            FileNotFoundError: a local folder without settings; the Hub raises its own errors.
            TypeError, ValueError: the file is not a settings file of this version.
        """
        if Path(repo_or_dir).is_dir():
            path = Path(repo_or_dir) / SETTINGS_FILE
        else:
            path = Path(_download(str(repo_or_dir), repo_type, revision=revision, token=token))
        if not path.is_file():
            raise MissingFileError(
                f"repo_or_dir: there is no {SETTINGS_FILE} in {repo_or_dir}; every dataset written by "
                "save_encrypted_dataset and every checkpoint trained on one has it."
            )
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputValueError(
                f"repo_or_dir: {path} is not valid JSON; take it again from its source."
            ) from error
        read = cls.from_dict(settings)
        warn_of_weaknesses(read)
        return read

    @classmethod
    def from_preset(
        cls: type[SettingsType], name: str, image_size: "int | tuple[int, int] | Sides | None" = 224
    ) -> SettingsType:
        """Build the settings that a name stands for; `hipmr presets` tells what each leaves to an attacker.

        The width of a patch follows from the size: 8 pixels for pictures of 64, 16 for 224, 24 for 384.

        Args:
            name: "classification", what `hipmr encrypt` takes by default; "dense", for boxes and masks;
                "strongest"; "reversible", which a key undoes; "paper-rs" or "paper-mi", to compare with.
            image_size: pixels of the plain image, an int for a square or (height, width). "dense" and
                "paper-mi" also take `Sides`, and None, which keep an image's shape.

        Raises:
            TypeError, ValueError: an unknown name; a size that is not whole patches of 8 pixels; or the
                other strategy's preset, asked of `RandomShuffling` or `MixingUp`.

        Example:
            >>> from hipmr_hf import Encryption
            >>> preset = Encryption.from_preset("classification", image_size=64)
            >>> preset.patch_size, preset.interval, preset.sub_patch_grid, preset.shuffle_tones
            (8, 4, 2, True)
            >>> Encryption.from_preset("dense").encrypted_size
            (112, 112)
        """
        strategy, settings = settings_of_preset(name, image_size)
        return cls._kind(strategy)(**settings)

    def push_to_hub(self, repo_id: str, *, repo_type: str = "model", token: str | bool | None = None) -> str:
        """Upload `encryption_config.json` to an existing repository; returns the commit's address."""
        from huggingface_hub import HfApi

        commit = HfApi(token=token).upload_file(
            path_or_fileobj=self._to_json().encode(),
            path_in_repo=SETTINGS_FILE,
            repo_id=repo_id,
            repo_type=repo_type,
            commit_message="Add the encryption settings",
        )
        return commit.commit_url


def _download(repo_id: str, repo_type: str | None, **kwargs: Any) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    if repo_type is not None:
        return hf_hub_download(repo_id, SETTINGS_FILE, repo_type=repo_type, **kwargs)
    try:
        return hf_hub_download(repo_id, SETTINGS_FILE, repo_type="model", **kwargs)
    except (EntryNotFoundError, RepositoryNotFoundError):
        return hf_hub_download(repo_id, SETTINGS_FILE, repo_type="dataset", **kwargs)
