"""`clients/browser/hipmr.js` knows what Python knows, and gives the same bytes."""

import base64
import dataclasses
import gzip
import hashlib
import json
import random
import re
import subprocess
from typing import Any

import numpy as np
import pytest
from client_helpers import CLIENT, find_tool
from encryption_vectors import KEY, VECTORS, answer, draw_picture, encryptions

from hipmr_hf import Encryption, MixingUp, RandomShuffling, SecretKey
from hipmr_hf.encryption import keys

FROZEN = json.loads(VECTORS.read_text())


def test_python_gives_the_known_answers():
    for vector in FROZEN:
        assert answer(vector).items() <= vector.items(), (vector["name"], vector["picture"])


def test_every_encryption_has_known_answers():
    assert {vector["name"] for vector in FROZEN} >= set(encryptions())


def test_the_known_answers_include_orders_that_were_drawn_again(monkeypatch):
    lengths = []
    streams = SecretKey.streams

    def noted(key, nonces, info, num_bytes):
        lengths.append(num_bytes)
        return streams(key, nonces, info, num_bytes)

    monkeypatch.setattr(SecretKey, "streams", noted)
    keyed = [vector for vector in FROZEN if "key" in vector]
    for vector in keyed:
        answer(vector)
    assert len(lengths) > len(keyed)


def test_javascript_gives_the_known_answers(node):
    done = subprocess.run(
        [node, "--test", str(CLIENT / "tests" / "vectors.test.mjs")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"pass (\d+)", done.stdout)
    assert passed and int(passed[1]) == len(FROZEN)


@pytest.mark.parametrize("kind", [RandomShuffling, MixingUp])
def test_javascript_knows_every_setting(ask, kind):
    """A setting that Python learns is to be learned by `hipmr.js` too, with vectors of its own."""
    names = {field.name for field in dataclasses.fields(kind)}
    assert names <= set(ask("fields")[kind.strategy])


@pytest.mark.parametrize("kind", [RandomShuffling, MixingUp])
def test_every_setting_that_changes_bytes_stands_in_the_known_answers(kind):
    """All but how JPEG files are decoded, which is done before."""
    default = kind()
    mine = [vector["settings"] for vector in FROZEN if vector["settings"]["strategy"] == kind.strategy]
    for field in dataclasses.fields(kind):
        if field.name != "jpeg_decoding":
            values = {str(settings.get(field.name, field.default)) for settings in mine}
            assert len(values | {str(getattr(default, field.name))}) > 1, field.name


def random_settings(draw: random.Random) -> dict[str, Any]:
    """Settings of either strategy; some of them are refused."""
    patch = draw.choice([4, 6, 8, 10, 16])
    side = patch * draw.randint(1, 5)
    values = {
        "format_version": 1,
        "image_size": draw.choice([side, [side, patch * draw.randint(1, 6)]]),
        "patch_size": patch,
        "sub_patch_grid": draw.choice([1, 2, 3, 4, 5]),
        "sub_patch_symmetries": draw.random() < 0.5,
        "patch_normalization": draw.random() < 0.3,
        "shuffle_tones": draw.random() < 0.3,
    }
    if draw.random() < 0.5:
        ratio = draw.choice([0, 0.0, 0.1, 0.25, 1 / 3, 0.5, 1e-5, 2.5e-7, draw.random()])
        return values | {"strategy": "rs", "interval": draw.choice([0, 0, 2, 4]), "drop_ratio": ratio}
    own = [
        None,
        {"shorter": draw.randint(8, 60), "longer": None},
        {"shorter": 30, "longer": draw.randint(30, 90)},
    ]
    return values | {"strategy": "mi", "image_size": draw.choice([values["image_size"], *own])}


@pytest.mark.parametrize("seed", range(4))
def test_random_settings_give_the_same_bytes_or_are_refused_by_both(ask, monkeypatch, seed):
    """With a key; and without, where both take the system's entropy from one known sequence."""
    draw, encrypted = random.Random(seed), 0
    for number in range(60):
        settings = random_settings(draw)
        picture = {"height": draw.randint(4, 90), "width": draw.randint(4, 90), "seed": number}
        try:
            encryption = Encryption.from_dict(settings)
            image = encryption.prepare(draw_picture(**picture))
            secret, asked = {}, {}
            if encryption.draws_randomness and number % 2:
                nonce = draw.randbytes(16)
                secret = {"key": KEY, "nonces": [nonce]}
                asked = {"key": KEY.hex(), "nonce": nonce.hex()}
            else:
                asked = {"entropy": number}
                monkeypatch.setattr(keys, "fresh_streams", known_entropy(number))
            expected = encryption.encrypt_batch(image[None], **secret)[0]
        except ValueError as refused:
            found = ask("encrypt", settings=settings, picture=picture)
            assert found.get("error") == "InputError", (settings, picture, str(refused), found)
            continue
        encrypted += 1
        found = ask("encrypt", settings=settings, picture=picture, **asked)
        digest = hashlib.sha256(expected.tobytes()).hexdigest()
        assert found == {"size": list(expected.shape[:2]), "sha256": digest}, (settings, picture)
        facts = ask("settings", settings=settings)
        assert facts["again"] == encryption.to_dict()
        assert facts["numPatches"] == encryption.num_patches
        assert facts["encryptedPatchSize"] == encryption.encrypted_patch_size
        assert facts["encryptedSize"] == (encryption.encrypted_size and list(encryption.encrypted_size))
        assert [lost.split("=")[0] for lost in facts["losses"]] == [
            lost.split("=")[0] for lost in encryption.losses
        ]
        assert facts["drawsRandomness"] == encryption.draws_randomness
    assert encrypted > 10


def known_entropy(seed: int):
    """What `tests/driver.mjs` gives in the place of the system's entropy."""
    state = seed

    def fresh_streams(count: int, num_bytes: int) -> np.ndarray:
        nonlocal state
        drawn = np.empty(count * num_bytes, np.uint8)
        for i in range(len(drawn)):
            state = (1664525 * state + 1013904223) % 2**32
            drawn[i] = state >> 24
        return drawn.reshape(count, num_bytes)

    return fresh_streams


def test_settings_of_how_jpegs_are_decoded_are_taken_and_change_no_stream(ask):
    vector = next(vector for vector in FROZEN if vector["name"] == "rs")
    asked = {name: vector[name] for name in ("picture", "key", "nonce")}
    found = ask("encrypt", settings={**vector["settings"], "jpeg_decoding": "reduced"}, **asked)
    assert found["sha256"] == vector["sha256"]
    assert "jpeg_decoding" in ask("settings", settings={**vector["settings"], "jpeg_decoding": 3})["message"]


def test_python_opens_what_javascript_sealed_and_the_other_way_round(ask):
    encryption = RandomShuffling(image_size=64, patch_size=8, sub_patch_symmetries=True)
    image, nonce = encryption.prepare(draw_picture(80, 90, 5)), keys.new_nonce()
    secret = {"key": KEY, "nonce": nonce}
    sealed = encryption(image, **secret)
    found = ask(
        "decrypt",
        settings=encryption.to_dict(),
        data=base64.b64encode(sealed.tobytes()).decode(),
        size=list(sealed.shape[:2]),
        key=KEY.hex(),
        nonce=nonce.hex(),
    )
    assert found["sha256"] == hashlib.sha256(image.tobytes()).hexdigest()
    assert (encryption.decrypt(sealed, **secret) == image).all()


def test_a_key_file_of_hipmr_keygen_is_read_and_a_damaged_one_refused(ask, tmp_path):
    key = SecretKey(KEY)
    key.save(tmp_path / "owner.key")
    file = (tmp_path / "owner.key").read_text()
    assert ask("readKey", file=file)["key"] == KEY.hex()
    assert "damaged" in ask("readKey", file=file.replace(key.key_id, "0" * 16))["message"]
    assert "no key file" in ask("readKey", file="something else")["message"]


RS = RandomShuffling(image_size=64, patch_size=16).to_dict()
MI = MixingUp().to_dict()
SMALL = {"height": 20, "width": 30, "seed": 0}


@pytest.mark.parametrize(
    ("settings", "asked", "message"),
    [
        (
            {**RS, "format_version": 2},
            {},
            "format_version: got 2, expected 1; take a newer hipmr.js.",
        ),
        ({**RS, "strategy": "xor"}, {}, 'strategy: got "xor", expected "rs" or "mi".'),
        ({**RS, "blur": 1}, {}, r'settings: unknown \["blur"\], missing \[\]; known are'),
        ({**RS, "strategy": "mi"}, {}, r'settings: unknown \["interval","drop_ratio"\]'),
        ({**RS, "patch_size": 0}, {}, "patch_size: got 0, expected a whole number from 1 to 65535."),
        ({**RS, "patch_size": "16"}, {}, 'patch_size: got "16", expected a whole number'),
        ({**RS, "image_size": 70}, {}, "image_size: got 70, expected whole patches of 16, such as 64."),
        ({**RS, "image_size": 65520}, {}, "image_size: got 65520, expected at most 67108864 pixels"),
        ({**RS, "image_size": None}, {}, "image_size: got null, expected"),
        ({**RS, "interval": 3}, {}, "interval: got 3, expected an even number"),
        ({**RS, "drop_ratio": 1}, {}, "drop_ratio: got 1, expected 0 <= drop_ratio < 1."),
        ({**RS, "drop_ratio": True}, {}, "drop_ratio: got true"),
        ({**RS, "drop_ratio": 0.95}, {}, "drop_ratio: got 0.95, expected 2 patches or more to be left."),
        ({**RS, "jpeg_decoding": "fast"}, {}, 'jpeg_decoding: got "fast", expected "full" or "reduced".'),
        (
            {**RS, "image_size": [64, 64, 64]},
            {},
            r"image_size: got \[64,64,64\], expected whole patches of 16",
        ),
        ({**MI, "image_size": {"shorter": 8}}, {}, "image_size: got .*, expected a whole number from 16 to"),
        (
            {**MI, "image_size": {"shorter": 32, "longer": 16}},
            {},
            "expected longer, a whole number from 32 to",
        ),
        (
            {**RS, "sub_patch_grid": 3},
            {},
            "sub_patch_grid: got 3, expected a divisor of the patch's 16 pixels.",
        ),
        ({**RS, "image_size": 16}, {}, "image_size: got 16, expected patches of 16 pixels, 3 or more."),
        ({**RS, "sub_patch_symmetries": 1}, {}, "sub_patch_symmetries: got 1, expected true or false."),
        (
            {**RS, "patch_normalization": True, "shuffle_tones": True},
            {},
            "shuffle_tones: got true, expected false beside patch_normalization.",
        ),
        (
            {**MI, "shuffle_tones": True},
            {"picture": SMALL},
            r"image: got \[20,30\], expected patches of 16 pixels, 3 or more.",
        ),
        (
            MI,
            {"picture": {**SMALL, "height": 12}},
            r"image: got \[12,30\], expected patches of 16 pixels, 1 or more.",
        ),
        (
            {**MI, "image_size": {"shorter": 16}},
            {"picture": {**SMALL, "width": 90000}},
            "choose smaller sides.",
        ),
        (MI, {"key": KEY.hex(), "nonce": "00" * 16}, "key: these settings draw no randomness"),
        (
            RS,
            {"key": KEY.hex(), "nonce": ""},
            r"nonce: expected a Uint8Array of 16 bytes; newKey\(\) and newNonce\(\) draw both.",
        ),
        (RS, {"key": "00" * 32, "nonce": "00" * 16}, "key: text and repeated bytes can be guessed"),
        (
            RS,
            {"key": b"correct horse battery staple 12!".hex(), "nonce": "00" * 16},
            "can be guessed; draw it",
        ),
    ],
)
def test_what_a_caller_can_mend_is_told(ask, settings, asked, message):
    found = ask("encrypt", settings=settings, **{"picture": {"height": 70, "width": 70, "seed": 0}, **asked})
    assert found.get("error") == "InputError" and re.search(message, found["message"]), found


def test_a_nonce_serves_once_per_key(ask):
    asked = {"settings": RS, "picture": SMALL, "key": KEY.hex(), "nonce": keys.new_nonce().hex()}
    assert "sha256" in ask("encrypt", **asked)
    assert "nonce: it was used with this key before" in ask("encrypt", **asked)["message"]
    assert "sha256" in ask("encrypt", **{**asked, "key": KEY[::-1].hex()})


def test_what_cannot_be_undone_is_told(ask):
    asked = {"data": "", "size": [64, 64], "key": KEY.hex(), "nonce": "00" * 16}
    lossy = ask("decrypt", settings={**RS, "interval": 2}, **asked)
    assert lossy["message"] == "decrypt: interval=2 lost pixels for good; keep the plain images."


# The package


def test_it_is_small(node, record_property):
    source = (CLIENT / "hipmr.js").read_bytes()
    assert len(gzip.compress(source, 9)) < 16_000
    minifier = find_tool("esbuild")
    done = subprocess.run(
        [str(minifier / "bin" / "esbuild"), "--bundle", "--minify", "--format=esm", str(CLIENT / "hipmr.js")],
        capture_output=True,
        check=True,
    )
    packed = len(gzip.compress(done.stdout, 9))
    record_property("figure", f"hipmr.js: {len(done.stdout)} bytes minified, {packed} as they are served")
    assert packed < 7_000 and len(done.stdout) < 12_800


def test_its_types_name_what_it_exports():
    exported = r"^export (?:async )?(?:declare )?(?:class|function|const) (\w+)"
    names = [
        re.findall(exported, (CLIENT / file).read_text(), re.MULTILINE) for file in ("hipmr.js", "hipmr.d.ts")
    ]
    assert sorted(names[0]) == sorted(names[1]) != []


def test_its_package_holds_what_is_needed_and_nothing_else():
    package = json.loads((CLIENT / "package.json").read_text())
    assert sorted(package["files"]) == ["hipmr.d.ts", "hipmr.js"]
    assert "dependencies" not in package
    assert not re.search(r"^\s*import\b(?!\.meta)", (CLIENT / "hipmr.js").read_text(), re.MULTILINE)
    from hipmr_hf import __version__

    assert package["version"] == __version__
