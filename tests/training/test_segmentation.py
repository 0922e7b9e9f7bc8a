import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Image
from PIL import Image as PILImage

from hipmr_hf import MixingUp, PEViTForImageClassification, RandomShuffling, encrypt_dataset
from hipmr_hf.models import PEViTConfig, PEViTImageProcessorPil
from hipmr_hf.training import build_segmenter
from hipmr_hf.training.digit_scenes import digit_scenes
from hipmr_hf.training.segmentation import SegmentationCollator, draw_mask, mask_classes

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def row(seed: int = 0, size: tuple[int, int] = (16, 24)) -> dict:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    return {"image": PILImage.fromarray(pixels), "mask": PILImage.fromarray(pixels[..., 0] // 64)}


def test_a_flip_takes_picture_and_mask_along():
    collator = SegmentationCollator(PEViTImageProcessorPil(patch_size=8), flip=1.0)
    still = SegmentationCollator(PEViTImageProcessorPil(patch_size=8))
    flipped, plain = collator([row(), row(1)]), still([row(), row(1)])
    assert plain["labels"].dtype == torch.int64 and plain["labels"].shape == (2, 16, 24)
    for name in ("pixel_values", "labels"):
        torch.testing.assert_close(flipped[name], plain[name].flip(-1))


def test_a_batch_of_several_sizes_is_one_kind_line():
    collator = SegmentationCollator(PEViTImageProcessorPil(patch_size=8))
    with pytest.raises(ValueError, match=r"several sizes.*--image-size HEIGHT WIDTH"):
        collator([row(), row(size=(24, 24))])
    with pytest.raises(ValueError, match="several sizes"):
        collator([row() | {"mask": PILImage.new("L", (8, 8))}])


def test_a_classifier_gives_its_backbone(tmp_path):
    mixing = MixingUp(image_size=(32, 48), patch_size=16)
    config = PEViTConfig(**TINY, patch_size=8, image_size=(16, 24), position_encoding="absolute")
    classifier = PEViTForImageClassification(config)
    classifier.save_pretrained(tmp_path)
    PEViTImageProcessorPil(patch_size=8).save_pretrained(tmp_path)
    model, processor = build_segmenter(mixing, (16, 24), checkpoint=str(tmp_path), num_labels=3)
    assert tuple(processor.encrypted_size) == (16, 24) and model.config.num_labels == 3
    torch.testing.assert_close(
        model.pevit.layers[0].mlp.fc1.weight, classifier.pevit.layers[0].mlp.fc1.weight
    )


def test_a_model_finds_ink_whose_tones_were_dealt_out():
    """A dealt-out tone says nothing of its place, and with it in the way hardly any ink was found."""
    encryption = MixingUp(image_size=48, patch_size=8, sub_patch_symmetries=True, shuffle_tones=True)
    told = {"size": (48, 48), "digit_sizes": (20, 36), "max_digits": 3, "with_masks": True, "one_class": True}
    scenes = DatasetDict(train=digit_scenes(320, seed=0, **told), test=digit_scenes(60, seed=1, **told))
    encrypted = encrypt_dataset(scenes, encryption, keep_columns=(), mask_column="mask")
    torch.manual_seed(0)
    model, processor = build_segmenter(
        encryption, (24, 24), **{**TINY, "hidden_size": 64}, num_labels=2, decoder_hidden_size=16
    )
    batches = {name: SegmentationCollator(processor)(list(rows)) for name, rows in encrypted.items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(8):
        for rows in torch.randperm(320).split(16):
            loss = model(**{name: values[rows] for name, values in batches["train"].items()}).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        found = model.eval()(pixel_values=batches["test"]["pixel_values"]).logits
    found = torch.nn.functional.interpolate(found, (24, 24)).argmax(dim=1)
    ink = batches["test"]["labels"] == 1
    assert ((found == 1) & ink).sum() / ((found == 1) | ink).sum() > 0.3


def test_shuffled_patches_are_refused():
    with pytest.raises(ValueError, match="masks mean nothing once the patches are shuffled"):
        build_segmenter(RandomShuffling(), (224, 224), **TINY)


def test_classes_that_have_no_name_are_named():
    masks = Dataset.from_dict({"mask": [row()["mask"]]}, features=Features({"mask": Image()}))
    assert mask_classes(masks) == ["class 0", "class 1", "class 2", "class 3"]
    with pytest.raises(ValueError, match="got 2 names, but masks hold class 3"):
        mask_classes(masks, ["ground", "cat"])
    with pytest.raises(ValueError, match="expected 'mask', maps of classes"):
        mask_classes(Dataset.from_dict({"label": [0]}))


def test_a_drawing_leaves_the_ground_as_it_is():
    mask = np.array([[0, 1], [255, 2]], np.uint8)
    drawn = np.asarray(draw_mask(PILImage.new("RGB", (2, 2), (9, 9, 9)), mask))
    assert (drawn[0, 0] == 9).all() and (drawn[1, 0] == 9).all()
    assert tuple(drawn[0, 1]) != tuple(drawn[1, 1])
