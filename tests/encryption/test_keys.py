import base64
import os
import pickle
import stat
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare

from hipmr_hf.encryption import keys
from hipmr_hf.encryption.keys import NonceReuseError, SecretKey, new_nonce

# RFC 5869, appendix A, test cases 1 to 3: (secret, salt, info, length, okm)
RFC_5869 = [
    (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42,
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    (bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82,
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
     "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"),
    (b"\x0b" * 22, b"", b"", 42,
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "salt", "info", "length", "okm"), RFC_5869)
def test_the_hkdf_in_use_gives_the_vectors_of_rfc_5869(secret, salt, info, length, okm):
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    assert HKDF(SHA256(), length, salt, info).derive(secret).hex() == okm


def test_our_derivation_is_that_hkdf_with_an_empty_salt():
    assert keys._hkdf(b"\x0b" * 22, b"", 42).hex() == RFC_5869[2][4]


def test_a_stream_is_frozen():
    """A change here makes every keyed dataset undecryptable: the vectors must never move.

    They were computed apart from this code, with `hmac` for HKDF and OpenSSL's aes-256-ctr.
    """
    key = SecretKey(bytes(range(32)))
    stream = key.streams([bytes(range(16))], b"info", 24)
    assert key.key_id == "21fbbde63f784e52"
    assert stream.tobytes().hex() == "5901009a18c5ac392d1f60cb71c4d55788e94dd0089ab40f"


def test_a_longer_stream_begins_with_the_shorter_one():
    key, nonce = SecretKey.generate(), new_nonce()
    short, long = key.streams([nonce], b"", 10), key.streams([nonce], b"", 10_000)
    np.testing.assert_array_equal(long[:, :10], short)


def test_streams_differ_by_key_nonce_and_info():
    first, second = SecretKey.generate(), SecretKey.generate()
    nonce, other = new_nonce(), new_nonce()
    streams = [first.streams([nonce], b"a", 16), first.streams([other], b"a", 16),
               first.streams([nonce], b"b", 16), second.streams([nonce], b"a", 16)]  # fmt: skip
    assert len({stream.tobytes() for stream in streams}) == 4


@pytest.mark.parametrize("keyed", [False, True])
def test_permutations_are_uniform(keyed):
    """All 24 orders of 4 patches are equally likely; the bound is a p-value of 1e-6."""
    count = 24_000
    if keyed:
        streams = SecretKey.generate().streams([new_nonce() for _ in range(count)], b"", 32)
    else:
        streams = keys.fresh_streams(count, 32)
    orders = keys.permutations_from(streams) @ np.array([64, 16, 4, 1])
    _, counts = np.unique(orders, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-6


def test_equal_words_keep_their_order():
    words = np.random.default_rng(0).integers(0, 50, (3, 200), dtype=np.uint64)
    expected = np.argsort(words, axis=1, kind="stable")
    np.testing.assert_array_equal(keys.permutations_from(words.view(np.uint8)), expected)


def test_a_key_never_shows_itself(tmp_path):
    secret = os.urandom(32)
    key = SecretKey(secret)
    for shown in (repr(key), str(key), f"{key}", repr(vars(type(key))), repr({"key": key})):
        assert secret.hex() not in shown and repr(secret)[2:-1] not in shown
    assert secret not in pickle.dumps(key)


def test_a_pickled_key_is_a_reference_to_the_living_one():
    key = SecretKey.generate()
    assert pickle.loads(pickle.dumps(key)) is key


def test_a_pickled_key_does_not_load_where_it_is_not_alive():
    pickled = pickle.dumps(SecretKey.generate())
    code = f"import pickle; pickle.loads({pickled!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not loaded in this process; call SecretKey.load(path)" in done.stderr


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match=f"secret: got {length} bytes, expected 32"):
        SecretKey(bytes(length))


def test_a_key_that_is_not_bytes_is_refused():
    with pytest.raises(TypeError, match="secret: got str, expected 32 bytes"):
        SecretKey("a" * 32)


WEAK = {
    "zeros": bytes(32),
    "ones": b"\xff" * 32,
    "a word over and over": b"\x01\x80secret" * 4,
    "half a key, twice": bytes(range(128, 144)) * 2,
    "text": b"correct horse battery staple 12!",
    "hexadecimal digits": bytes(range(16)).hex().encode(),
}


@pytest.mark.parametrize("secret", WEAK.values(), ids=WEAK)
def test_a_key_that_can_be_guessed_is_refused(secret):
    with pytest.raises(ValueError, match=r"secret: it is text, or few bytes .*draw a key with"):
        SecretKey(secret)


def test_a_key_file_with_such_a_key_is_refused_and_not_quoted(tmp_path):
    path = tmp_path / "owner.key"
    for secret in WEAK.values():
        shown = base64.b64encode(secret).decode()
        path.write_text(f"{keys._KEY_FILE_HEADER}\nkey id: {keys._id_of(secret)}\nkey: {shown}\n")
        path.chmod(0o600)
        with pytest.raises(ValueError, match="can be guessed") as refused:
            SecretKey.load(path)
        assert shown not in str(refused.value)


def test_keys_are_told_apart_by_more_than_their_id(monkeypatch):
    """Two keys of one 64-bit id can be made on purpose, with 2**32 trials."""
    monkeypatch.setattr(keys, "_id_of", lambda secret: "0" * 16)
    first, second = SecretKey.generate(), SecretKey.generate()
    assert first.key_id == second.key_id
    assert first is not second and first != second
    assert pickle.loads(pickle.dumps(first)) is first and pickle.loads(pickle.dumps(second)) is second
    nonce = new_nonce()
    keys.claim_nonces(first, [nonce])
    keys.claim_nonces(second, [nonce])  # used with the other one only
    assert SecretKey(first._secret) is first


@pytest.mark.skipif(os.name != "posix", reason="files have no owners")
def test_a_key_file_of_another_user_is_refused_and_one_of_root_taken(tmp_path, monkeypatch):
    path, owner = tmp_path / "owner.key", os.geteuid()
    SecretKey.generate().save(path)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert SecretKey.load(path)
        os.chown(path, 12345, -1)
        owner = 12345
    with pytest.raises(PermissionError, match=f"belongs to user {owner}, who knows its key"):
        SecretKey.load(path)


def test_a_key_file_comes_back_and_is_its_owners_alone(tmp_path):
    key, path = SecretKey.generate(), tmp_path / "owner.key"
    key.save(path)
    assert SecretKey.load(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path):
    path = tmp_path / "owner.key"
    first = SecretKey.generate()
    first.save(path)
    with pytest.raises(FileExistsError):
        SecretKey.generate().save(path)
    assert SecretKey.load(path) == first


def test_a_key_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no key file .*no\.key; check the path, or make"):
        SecretKey.load(tmp_path / "no.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_file_that_others_can_open_is_refused(tmp_path, mode):
    path = tmp_path / "owner.key"
    SecretKey.generate().save(path)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        SecretKey.load(path)


def test_a_damaged_key_file_is_refused(tmp_path):
    path = tmp_path / "owner.key"
    SecretKey.generate().save(path)
    text = path.read_text()
    position = text.index("key: ", text.index("key id: ") + 8) + 7
    damaged = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
    path.write_text(damaged)
    with pytest.raises(ValueError, match="is damaged"):
        SecretKey.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"hipmr-hf secret key, version 2\nkey: x\n", b"{}"]
)
def test_a_file_that_is_no_key_file_is_refused(tmp_path, content):
    path = tmp_path / "owner.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="is not a key file of this version"):
        SecretKey.load(path)


def test_a_nonce_serves_once_per_key():
    key, other, nonce = SecretKey.generate(), SecretKey.generate(), new_nonce()
    keys.claim_nonces(key, [nonce])
    keys.claim_nonces(other, [nonce])
    fresh = new_nonce()
    with pytest.raises(NonceReuseError, match="already used with this key"):
        keys.claim_nonces(key, [fresh, nonce])
    keys.claim_nonces(key, [fresh])  # the refused call remembered nothing


@pytest.mark.parametrize(
    ("nonces", "message"),
    [
        ([bytes(15)], "got 15 bytes, expected 16"),
        (["x" * 16], "got str"),
        ([bytes(16)] * 2, "2 for 1 images"),
    ],
)
def test_wrong_nonces_are_refused(nonces, message):
    with pytest.raises(ValueError, match=message):
        keys.check_nonces(nonces, 1)


def test_one_nonce_twice_in_a_batch_is_refused():
    with pytest.raises(NonceReuseError, match="came twice in one batch"):
        keys.check_nonces([bytes(16), bytes(16)], 2)
