"""Settings that hide next to nothing are told: when they are loaded, when they are used, and on the card."""

import logging

import pytest

from hipmr_hf import Encryption, MixingUp, RandomShuffling, Sides
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.encryption import weaknesses as module
from hipmr_hf.encryption.weaknesses import weaknesses
from hipmr_hf.hub.cards import DatasetFacts, ModelFacts, dataset_card, model_card

BORDERS, HALF, LARGE = "patches keep their borders", "are half of a side or more", "show faces and words"
COPY, THUMBNAIL = "are a copy of the picture", "a thumbnail"
WEAK = [
    (RandomShuffling(), [BORDERS]),
    (RandomShuffling(drop_ratio=0.5), [BORDERS]),
    (RandomShuffling(sub_patch_symmetries=True, patch_normalization=True), [BORDERS]),
    (RandomShuffling(shuffle_tones=True), [BORDERS]),
    (RandomShuffling(image_size=32, patch_size=16, interval=4), [HALF]),
    (RandomShuffling(image_size=(32, 160), patch_size=16, sub_patch_grid=2), [HALF]),
    (RandomShuffling(image_size=128, patch_size=64), [HALF, LARGE, BORDERS]),
    (RandomShuffling(image_size=320, patch_size=80, interval=8), [LARGE]),
    (MixingUp(patch_size=2), [COPY]),
    (MixingUp(image_size=224, patch_size=4), [COPY, THUMBNAIL]),
    (MixingUp(patch_size=8, sub_patch_grid=4, sub_patch_symmetries=True), [COPY]),
    (MixingUp(image_size=448), [THUMBNAIL]),
    (MixingUp(image_size=Sides(800, 1333)), [THUMBNAIL]),
]
OTHERS = [
    RandomShuffling(interval=2),
    RandomShuffling(sub_patch_grid=2),
    RandomShuffling(image_size=48, patch_size=16, interval=4),
    MixingUp(),
    MixingUp(image_size=224),
    MixingUp(image_size=448, sub_patch_symmetries=True),
    MixingUp(image_size=448, patch_normalization=True),
    MixingUp(patch_size=4, shuffle_tones=True),
]


@pytest.fixture(autouse=True)
def told_anew():
    module._warn_once.cache_clear()
    yield
    module._warn_once.cache_clear()


@pytest.mark.parametrize(("encryption", "expected"), WEAK, ids=str)
def test_what_hides_next_to_nothing_is_named(encryption, expected):
    said = weaknesses(encryption)
    assert len(said) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, said, strict=True))


@pytest.mark.parametrize("encryption", OTHERS, ids=str)
def test_what_hides_more_is_not(encryption):
    assert weaknesses(encryption) == []


@pytest.mark.parametrize("encryption", [WEAK[5][0], WEAK[8][0]], ids=str)
def test_whoever_loads_such_settings_is_told_once(encryption, tmp_path, caplog):
    encryption.save_pretrained(tmp_path)
    for _ in range(3):
        assert Encryption.from_pretrained(tmp_path) == encryption
    (warning,) = caplog.messages
    assert warning == f"These settings hide next to nothing: {weaknesses(encryption)[0]}."
    assert caplog.records[0].levelno == logging.WARNING


def test_whoever_encrypts_with_them_is_told(caplog):
    EncryptionJob(MixingUp(patch_size=2)).warn()
    EncryptionJob(MixingUp(patch_size=16)).warn()
    assert [COPY in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("encryption", [case for case, _ in WEAK], ids=str)
def test_the_card_says_so(encryption):
    cards = (
        dataset_card(DatasetFacts("me/scans", encryption, {"train": 3})),
        model_card(ModelFacts("me/pevit", encryption)),
    )
    for card in cards:
        for said in weaknesses(encryption):
            assert f"\n- **These settings hide next to nothing:** {said}.\n" in str(card)
    assert "next to nothing" not in str(dataset_card(DatasetFacts("me/scans", OTHERS[0], {"train": 3})))
