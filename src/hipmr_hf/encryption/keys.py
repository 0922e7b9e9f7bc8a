"""Secret keys, nonces and the random streams that permutations are drawn from.

A stream comes either from the operating system's entropy (one-time: nobody can undo it) or from
HKDF-SHA256 (RFC 5869) of a 32-byte key and a nonce of the image, spread by AES-256 in counter mode.
"""

import base64
import hmac
import os
import stat
import string
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import FileAccessError, InputTypeError, InputValueError, MissingFileError
from ..files import new_private_file

KEY_BYTES = 32
NONCE_BYTES = 16

_KEY_FILE_HEADER = "hipmr-hf secret key, version 1"
_WORD = np.dtype("<u8")

# That 32 drawn bytes have 16 values or fewer, or are all text, happens once in 2**43 keys or less.
_FEW_VALUES = 16
_TEXT = frozenset(string.printable.encode())

# Keys alive in this process, by fingerprint, so that a key can be pickled as a mere reference to itself.
_LIVE_KEYS: "weakref.WeakValueDictionary[str, SecretKey]" = weakref.WeakValueDictionary()
_USED_NONCES: dict[str, set[bytes]] = {}


class NonceReuseError(InputValueError):
    """A nonce came a second time with the same key: two images would share one permutation."""


class SecretKey:
    """A 32-byte secret that never prints, and that pickles as a reference to itself, never as itself.

    A forked worker finds the key of its parent; any other process must load the key file on its own. Keys are
    the same if their secrets are: the 8 bytes of `key_id`, which are published, only tell a wrong key early.

    Args:
        secret: 32 bytes from a cryptographic source; `SecretKey.generate()` draws them.

    Raises:
        TypeError: `secret` is not bytes.
        ValueError: `secret` is not 32 bytes long, or can be guessed: text, or few bytes over and over.

    Example:
        >>> key = SecretKey.generate()
        >>> key.key_id in repr(key), key == SecretKey.generate()
        (True, False)
    """

    __slots__ = ("__weakref__", "_secret", "fingerprint", "key_id")

    def __new__(cls, secret: bytes) -> "SecretKey":
        """Return the living key with this secret, if there is one, so that a reference always finds it."""
        if not isinstance(secret, bytes):
            raise InputTypeError(
                f"secret: got {type(secret).__name__}, expected {KEY_BYTES} bytes; "
                "draw a key with SecretKey.generate() or read one with SecretKey.load(path)."
            )
        if len(secret) != KEY_BYTES:
            raise InputValueError(
                f"secret: got {len(secret)} bytes, expected {KEY_BYTES}; "
                "draw a key with SecretKey.generate() or read one with SecretKey.load(path)."
            )
        _check_is_drawn(secret)
        fingerprint = _hkdf(secret, b"hipmr-hf key fingerprint", KEY_BYTES).hex()
        live = _LIVE_KEYS.get(fingerprint)
        if live is not None:
            return live
        key = super().__new__(cls)
        key._secret, key.fingerprint, key.key_id = secret, fingerprint, _id_of(secret)
        _LIVE_KEYS[fingerprint] = key
        return key

    @classmethod
    def generate(cls) -> "SecretKey":
        """Draw a new key from the operating system's entropy."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SecretKey":
        """Read a key file.

        Raises:
            FileNotFoundError: there is no such file.
            PermissionError: others than the owner can read the file, or it is another user's (root's is
                taken).
            ValueError: it is not a key file, is of another version, or is damaged; or its key can be guessed.
        """
        path = Path(path)
        if not path.exists():
            raise MissingFileError(
                f"path: there is no key file {path}; check the path, or make a key with 'hipmr keygen'."
            )
        with path.open("rb") as file:
            _check_is_private(
                path, os.fstat(file.fileno())
            )  # of what is read, whatever the path names by now
            return cls._parse(path, file.read(1024))

    @classmethod
    def _parse(cls, path: Path, content: bytes) -> "SecretKey":
        lines = content.decode("ascii", errors="replace").splitlines()
        if not lines or lines[0] != _KEY_FILE_HEADER:
            raise InputValueError(
                f"path: {path} is not a key file of this version: its first line must be "
                f"{_KEY_FILE_HEADER!r}; make a key file with 'hipmr keygen' or SecretKey.save."
            )
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        try:
            secret = base64.b64decode(fields["key"], validate=True)
        except (KeyError, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES or _id_of(secret) != fields.get("key id"):
            raise InputValueError(
                f"path: key file {path} is damaged: its key does not fit its key id; use a backup."
            )
        return cls(secret)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new key file that only its owner can read.

        Raises:
            FileExistsError: something is there already; a key file is never overwritten.
        """
        text = f"{_KEY_FILE_HEADER}\nkey id: {self.key_id}\nkey: {base64.b64encode(self._secret).decode()}\n"
        new_private_file(path, text)

    def streams(self, nonces: Sequence[bytes], info: bytes, num_bytes: int) -> np.ndarray:
        """Derive one pseudo-random stream per nonce.

        Args:
            nonces: `NONCE_BYTES` bytes each.
            info: what the streams are for; other settings give other streams.
            num_bytes: length of each stream.

        Returns:
            uint8 (len(nonces), num_bytes).
        """
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        zeros = bytes(num_bytes)
        streams = np.empty((len(nonces), num_bytes), np.uint8)
        for stream, nonce in zip(streams, nonces, strict=True):
            # The derived key serves one stream only, so the counter may start at zero.
            derived = _hkdf(self._secret, info + b"|" + nonce, KEY_BYTES)
            cipher = Cipher(algorithms.AES(derived), modes.CTR(bytes(16)))
            stream[:] = np.frombuffer(cipher.encryptor().update(zeros), np.uint8)
        return streams

    def __repr__(self) -> str:
        return f"SecretKey(key_id={self.key_id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __reduce__(self) -> tuple[Callable[[str, str], "SecretKey"], tuple[str, str]]:
        return _live_key, (self.fingerprint, self.key_id)


def _live_key(fingerprint: str, key_id: str) -> SecretKey:
    key = _LIVE_KEYS.get(fingerprint)
    if key is None:
        raise LookupError(
            f"key {key_id} is not loaded in this process; call SecretKey.load(path) first, "
            "for a key is never pickled."
        )
    return key


def _check_is_private(path: Path, found: os.stat_result) -> None:
    if os.name != "posix":
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise FileAccessError(
            f"path: key file {path} belongs to user {found.st_uid}, who knows its key; copy it to a file of "
            "your own if that is meant, or make a key with 'hipmr keygen'."
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise FileAccessError(
            f"path: key file {path} can be read by others; run 'chmod 600 {path}', "
            "and if somebody may have copied it, make a new key."
        )


def _check_is_drawn(secret: bytes) -> None:
    if len(set(secret)) <= _FEW_VALUES or _TEXT.issuperset(secret):
        raise InputValueError(
            "secret: it is text, or few bytes over and over, and can be guessed; "
            "draw a key with SecretKey.generate() or 'hipmr keygen'."
        )


def _id_of(secret: bytes) -> str:
    return _hkdf(secret, b"hipmr-hf key id", 8).hex()


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def as_key(key: SecretKey | bytes) -> SecretKey:
    """Take a key as the object or as its 32 raw bytes."""
    return key if isinstance(key, SecretKey) else SecretKey(key)


def new_nonce() -> bytes:
    """Draw 16 fresh bytes, one image's own; store them with the encrypted image, they are not secret.

    Example:
        >>> len(new_nonce())
        16
    """
    return os.urandom(NONCE_BYTES)


def check_nonces(nonces: Sequence[bytes], count: int) -> None:
    """Refuse nonces of the wrong number, type or length, and two that are the same."""
    if not isinstance(nonces, Sequence) or isinstance(nonces, bytes | str):
        raise InputTypeError(
            f"nonces: got {type(nonces).__name__}, expected a list of {count} nonces, one per image."
        )
    if len(nonces) != count:
        raise InputValueError(
            f"nonces: got {len(nonces)} for {count} images, expected one per image from new_nonce()."
        )
    for nonce in nonces:
        if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
            got = f"{len(nonce)} bytes" if isinstance(nonce, bytes) else type(nonce).__name__
            raise InputValueError(
                f"nonce: got {got}, expected {NONCE_BYTES} bytes; draw it with new_nonce()."
            )
    if len(set(nonces)) != count:
        raise NonceReuseError(
            "nonces: the same nonce came twice in one batch; draw one per image with new_nonce()."
        )


def claim_nonces(key: SecretKey, nonces: Sequence[bytes]) -> None:
    """Remember nonces as used with this key in this process.

    Raises:
        NonceReuseError: one of them was used before; none of them is remembered then.
    """
    used = _USED_NONCES.setdefault(key.fingerprint, set())
    if not used.isdisjoint(nonces):
        raise NonceReuseError(
            "nonce: it was already used with this key, and two images must never share a permutation; "
            "draw another with new_nonce()."
        )
    used.update(nonces)


def fresh_streams(count: int, num_bytes: int) -> np.ndarray:
    """Draw `count` random streams from the operating system's entropy: uint8 (count, num_bytes)."""
    return np.frombuffer(os.urandom(count * num_bytes), np.uint8).reshape(count, num_bytes)


def permutations_from(streams: np.ndarray) -> np.ndarray:
    """Sort the 64-bit little-endian words of each stream: their order is a uniform permutation.

    Args:
        streams: uint8 (batch, 8 * length).

    Returns:
        int64 (batch, length); two equal words, which would keep their order, are a 2**-64 event a pair.

    Example:
        >>> permutations_from(fresh_streams(2, 8 * 5)).shape
        (2, 5)
    """
    words = np.ascontiguousarray(streams).view(_WORD)
    ordered = np.sort(words, axis=1)
    # Without equal words every sort gives the same order, and the stable one takes four times as long.
    tied = np.any(ordered[:, 1:] == ordered[:, :-1])
    return np.argsort(words, axis=1, kind="stable" if tied else "quicksort")


WORD_BYTES = _WORD.itemsize
"""Bytes of a stream that one element of a permutation takes."""
