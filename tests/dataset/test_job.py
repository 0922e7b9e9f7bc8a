import pytest

from hipmr_hf import MixingUp, RandomShuffling, SecretKey
from hipmr_hf.dataset.job import EncryptionJob
from hipmr_hf.dataset.sources.listing import SourceOptions

KEY = SecretKey.generate()
LOSSY = [
    (RandomShuffling(interval=2), "interval=2"),
    (RandomShuffling(drop_ratio=0.25), "drop_ratio=0.25"),
    (RandomShuffling(sub_patch_grid=2), "sub_patch_grid=2"),
    (RandomShuffling(patch_normalization=True), "patch_normalization=True"),
    (MixingUp(sub_patch_symmetries=True), "sub_patch_grid=2"),
]


@pytest.mark.parametrize(("encryption", "lost"), LOSSY)
def test_a_key_that_could_not_bring_the_pictures_back_is_refused_unless_it_is_meant(encryption, lost):
    with pytest.raises(ValueError, match=f"key: {lost} would lose pixels for good"):
        EncryptionJob(encryption, key=KEY)
    meant = EncryptionJob(encryption, key=KEY, irreversible=True)
    options = SourceOptions()
    without = EncryptionJob(encryption).identity("source", options)
    assert meant.identity("source", options) == without | {"key": KEY.fingerprint}


@pytest.mark.parametrize("said", [{"labels": "site"}, {"splits": "none"}, {"config_name": "small"}])
def test_a_run_does_not_go_on_with_pieces_of_a_source_that_was_read_in_another_way(said):
    job = EncryptionJob(RandomShuffling())
    assert job.identity("source", SourceOptions(**said)) != job.identity("source", SourceOptions())


@pytest.mark.parametrize("encryption", [RandomShuffling(), RandomShuffling(sub_patch_symmetries=True)])
def test_a_key_goes_with_settings_that_lose_nothing(encryption):
    assert encryption.losses == () and EncryptionJob(encryption, key=KEY).key is KEY
