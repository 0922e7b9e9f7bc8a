"""The real recognisers on real pictures; they come with an extra that tests do not install."""

import importlib.util

import numpy as np
import pytest
from measurement_data import PICTURES, needed

from hipmr_hf import MixingUp
from hipmr_hf.errors import MissingExtraError, MissingFileError
from hipmr_hf.recognisers import FaceDescriber, FaceFinder, SceneDescriber, WordReader, measure_sizes
from hipmr_hf.recognisers.base import FACE_LIBRARIES, WORD_LIBRARIES, is_there
from hipmr_hf.recognisers.words import share_of_words

EXTRA = 'needs pip install "hipmr-hf[recognisers]", 270 MB, which the tests go without'
faces = pytest.mark.skipif(not is_there(*FACE_LIBRARIES), reason=f"faces: {EXTRA}")
words = pytest.mark.skipif(not is_there(*WORD_LIBRARIES), reason=f"words: {EXTRA}")


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """Three portraits of each of four people."""
    from benchmarks.attacks.recognised_pictures import portraits

    everybody = portraits(PICTURES)
    return np.stack([everybody[10 * person + number] for person in range(4) for number in range(3)])


@needed
@faces
def test_people_are_found_and_told_apart_and_hidden_by_large_patches(people):
    finder, describer = FaceFinder(), FaceDescriber()
    boxes = [max(found, key=lambda box: box.width) for found in finder(people)]  # in every picture
    assert 80 < np.median([box.width for box in boxes]) < 145
    described = describer(people, boxes)
    apart = np.linalg.norm(described[:, None] - described[None], axis=2) + 9 * np.eye(12)
    assert (apart.argmin(axis=1) // 3 == np.arange(12) // 3).mean() > 0.7
    mixed = MixingUp(patch_size=32, sub_patch_symmetries=True).encrypt_batch(people)
    assert not any(finder(list(mixed)))


@faces
def test_nobody_is_found_where_nobody_is():
    assert FaceFinder()([np.full((96, 96, 3), 90, np.uint8)]) == [[]]


@words
def test_a_page_is_read_and_letters_are_measured():
    from benchmarks.attacks.recognised_pictures import pages

    page = pages(1, letters=(20,))
    (lines,) = WordReader()(page.images)
    assert share_of_words(page.words[0], lines) > 0.8
    assert 15 < np.median([line.height for line in lines]) < 28
    assert WordReader()([np.full((64, 64, 3), 255, np.uint8)]) == [[]]


@words
def test_sizes_of_a_page_are_measured_in_time():
    from benchmarks.attacks.recognised_pictures import pages

    images = pages(3, letters=(20,)).images
    assert measure_sizes(images, seconds=-1).pictures == 0
    sizes = measure_sizes(images[:1], seconds=60)
    assert sizes.pictures == 1 and sizes.letter_heights and not sizes.face_widths


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    hidden = {*FACE_LIBRARIES, *WORD_LIBRARIES}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in hidden else find(name, *rest)
    )
    for recogniser in (FaceFinder, FaceDescriber, WordReader):
        with pytest.raises(MissingExtraError, match=r'run: pip install "hipmr-hf\[recognisers\]"$'):
            recogniser()
    assert measure_sizes([np.zeros((32, 32, 3), np.uint8)]).pictures == 0


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A tiny DINOv2 with random weights, and a convolutional network, in folders."""
    from transformers import Dinov2Config, Dinov2Model, ResNetConfig, ResNetModel

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    models = {
        "vit": Dinov2Model(Dinov2Config(**small, image_size=56, patch_size=14)),
        "cnn": ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
    }
    folder = tmp_path_factory.mktemp("backbones")
    for name, model in models.items():
        model.save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize("kind", ["vit", "cnn"])
def test_a_random_backbone_knows_a_picture_again(kind, backbone):
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (20, 60, 60, 3), dtype=np.uint8))
    describe = SceneDescriber(backbone / kind, side=56)
    features = describe(pictures)
    assert len(features) == 20 and np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    for picture in (altered := [picture.copy() for picture in pictures]):
        picture[0, :4] = 0
    assert ((describe(altered) @ features.T).argmax(axis=1) == np.arange(20)).mean() > 0.8


def test_a_folder_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(MissingFileError, match=r"backbone: there is no config\.json"):
        SceneDescriber(tmp_path)
