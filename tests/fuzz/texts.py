"""Damaged settings files, key files and notes of unfinished runs, and wrong nonces: each with its check."""

import base64
import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.mutations import mutate
from hipmr_hf.dataset.unfinished import place_of, unfinished_folder
from hipmr_hf.encryption import Encryption, MixingUp, RandomShuffling, Sides
from hipmr_hf.encryption.keys import SecretKey
from hipmr_hf.layout import SETTINGS_FILE

_SETTINGS = (
    RandomShuffling(),
    RandomShuffling(image_size=(64, 32), patch_size=8, interval=2, drop_ratio=0.25),
    RandomShuffling(patch_size=8, sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True),
    MixingUp(),
    MixingUp(image_size=Sides(shorter=800, longer=1333)),
)
_ODD = [None, True, False, 0, -1, 1, 2, 3, 16, 17, 224, 2**31, 2**53 + 1, 10**18, 10**400]
_ODD += [0.5, -0.0, 1.0, 16.0, 1e308, 1e-320, math.nan, math.inf, -math.inf]
_ODD += ["", "16", "rs", "mi", "\x00", "\ud800", "ä" * 300, [], [16]]
_ODD += [[224, 224], [224, "224"], [[16], 16], [1] * 50, {}, {"shorter": 800}, {"shorter": 10**400}]
_ODD += [{"shorter": 16, "longer": math.nan}, {"shorter": 16, "longer": 10**20, "other": 1}, {"": {}}]

_LIKELY = [True, False, 0, 1, 2, 4, 8, 16, 32, 64, 224, 256, 65_535, 10**9, 0.25, 0.5, 0.999, None]
_LIKELY += [[64, 32], [65_535, 65_521]]
_LIKELY += ["rs", "mi", {"shorter": 64, "longer": 100}, {"shorter": 800, "longer": None}]


class SettingsFiles:
    """Random and damaged texts of `encryption_config.json`; read as `from_pretrained` does."""

    def __init__(self):
        self.texts = [json.dumps(settings.to_dict(), indent=2).encode() for settings in _SETTINGS]
        self.place = tempfile.TemporaryDirectory(prefix="hipmr-fuzz-")

    def __call__(self, chance: random.Random) -> bytes:
        """Return the next file."""
        kind = chance.random()
        if kind < 0.3:
            return json.dumps(_changed(chance.choice(_SETTINGS).to_dict(), chance)).encode()
        if kind < 0.4:
            return _json_bytes(_changed(chance.choice(_SETTINGS).to_dict(), chance), chance)
        if kind < 0.5:
            return _json_bytes(_any_json(chance, depth=4), chance)
        if kind < 0.53:
            return _deep(chance)
        return mutate(chance.choice(self.texts), self.texts, chance)

    def check(self, file: bytes) -> str:
        """Read the file; returns "settings" or "refused".

        Raises:
            AssertionError: settings that were accepted do not come back from their own dictionary.
            Exception: any error but the documented TypeError and ValueError.
        """
        path = Path(self.place.name) / SETTINGS_FILE
        path.write_bytes(file)
        try:
            settings = Encryption.from_pretrained(self.place.name)
        except (TypeError, ValueError):
            return "refused"
        assert Encryption.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
        assert settings.encrypted_patch_size >= 1
        assert settings.encrypted_size is None or min(settings.encrypted_size) >= 1
        assert settings.num_patches is None or settings.num_patches >= 1
        return "settings"


class KeyFiles:
    """Damaged key files; the check reads them as `SecretKey.load` does."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="hipmr-fuzz-")
        self.path = Path(self.place.name) / "a.key"
        self.texts = [self._text(bytes(range(i, i + 32))) for i in range(1, 5)]

    def _text(self, secret: bytes) -> bytes:
        self.path.unlink(missing_ok=True)
        SecretKey(secret).save(self.path)
        return self.path.read_bytes()

    def __call__(self, chance: random.Random) -> bytes:
        """Return the next file."""
        text = chance.choice(self.texts)
        kind = chance.random()
        if kind < 0.1:
            return chance.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\n", b" ", b"\r")) + text
        if kind < 0.2:
            return text.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\x00", b"\n\n", b"\x0b", b"")))
        if kind < 0.3:
            return text.decode().encode(chance.choice(("utf-16", "utf-32", "cp500")))
        if kind < 0.4:
            wrong = base64.b64encode(chance.randbytes(chance.choice((0, 1, 16, 31, 32, 33, 64, 4096))))
            return text[: text.index(b"key: ")] + b"key: " + wrong + b"\n"
        return mutate(text, self.texts, chance)

    def check(self, file: bytes) -> str:
        """Read the file; returns "key" or "refused".

        Raises:
            AssertionError: a key was read whose id is not in the file, or the error quotes a secret.
            Exception: any error but the documented ValueError.
        """
        self.path.write_bytes(file)
        try:
            key = SecretKey.load(self.path)
        except ValueError as error:
            secrets = [text.split(b"key: ")[-1].strip()[:16].decode() for text in self.texts]
            assert not any(secret in str(error) for secret in secrets), "the error quotes a secret"
            return "refused"
        assert key.key_id.encode() in file
        return "key"


class Nonces:
    """Right, wrong and repeated nonces and keys, as a caller may pass them to an encryption."""

    def __init__(self):
        self.encryption = RandomShuffling(image_size=8, patch_size=4)
        self.image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        self.key = SecretKey.generate()

    def __call__(self, chance: random.Random) -> tuple[Any, Any]:
        """Return the next (key, nonce)."""
        length = chance.choice((0, 1, 15, 16, 16, 16, 17, 32, 33, 1000))
        text = chance.randbytes(length)
        odd = [None, 0, 1.5, "a" * 16, [text], (text,), {}]
        odd += [text, bytearray(text), memoryview(text), np.bytes_(text)]
        key = self.key if chance.random() < 0.7 else chance.choice([*odd, chance.randbytes(32)])
        return key, chance.choice([*odd, text, text, text])

    def check(self, pair: tuple[Any, Any]) -> str:
        """Encrypt and decrypt; returns "encrypted" or "refused".

        Raises:
            AssertionError: a nonce of another length was taken, came a second time, or does not decrypt.
            Exception: any error but the documented TypeError and ValueError.
        """
        key, nonce = pair
        try:
            encrypted = self.encryption(self.image, key=key, nonce=nonce)
        except (TypeError, ValueError):
            return "refused"
        if key is None and nonce is None:
            return "encrypted"
        assert len(nonce) == 16
        assert (self.encryption.decrypt(encrypted, key=key, nonce=nonce) == self.image).all()
        try:
            self.encryption(self.image, key=key, nonce=nonce)
        except ValueError:
            return "encrypted"
        raise AssertionError("a nonce was taken twice")


class RunNotes:
    """Damaged notes of an unfinished run; the check goes on with that run."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="hipmr-fuzz-")
        self.identity = {
            "release": "1",
            "source": "0a" * 32,
            "encryption": _SETTINGS[0].to_dict(),
            "key": None,
        }
        self.text = json.dumps(self.identity).encode()

    def __call__(self, chance: random.Random) -> bytes:
        """Return the next file."""
        if chance.random() < 0.3:
            return _json_bytes(_any_json(chance, depth=3), chance)
        kind = chance.random()
        if kind < 0.1:
            return _deep(chance) if kind < 0.03 else self.text
        return mutate(self.text, [self.text], chance)

    def check(self, file: bytes) -> str:
        """Go on with the run; returns "went on" or "refused".

        Raises:
            AssertionError: a refused run has lost its finished rows.
            Exception: any error but the documented ValueError.
        """
        output = Path(self.place.name) / "out"
        folder = place_of(output)
        folder.mkdir(exist_ok=True)
        (folder / "job.json").write_bytes(file)
        (folder / "00000000.parquet").write_bytes(b"PAR1")
        try:
            with unfinished_folder(output, self.identity):
                return "went on"
        except ValueError:
            assert (folder / "00000000.parquet").exists()
            return "refused"


def _changed(settings: dict, chance: random.Random) -> dict:
    for _ in range(chance.randint(1, 3)):
        names = [*settings, "unknown", "key"] if chance.random() < 0.1 else list(settings)[2:]
        name = chance.choice(names)
        if chance.random() < 0.03:
            settings.pop(name, None)
        else:
            settings[name] = chance.choice(_LIKELY) if chance.random() < 0.9 else _any_json(chance, depth=2)
    return settings


def _any_json(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.7:
        return chance.choice(_ODD)
    if kind < 0.85:
        return [_any_json(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    names = ("format_version", "strategy", "image_size", "patch_size", "", "\ud800", "a" * 1000)
    return {chance.choice(names): _any_json(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def _json_bytes(value: Any, chance: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=chance.random() < 0.8)
    if chance.random() < 0.1 and text.startswith("{") and len(text) > 2:
        text = "{" + text[1:-1] + ", " + text[1:]  # every name twice
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return text.encode(encoding, errors="surrogatepass")


def _deep(chance: random.Random) -> bytes:
    depth = chance.choice((100, 900, 5_000, 100_000))
    start, end = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    deep = start * depth + b"1" + end * depth
    return deep if chance.random() < 0.5 else b'{"format_version": ' + deep + b"}"
