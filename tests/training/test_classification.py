import pytest
import torch
from transformers import ViTForImageClassification

from hipmr_hf import (
    MixingUp,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    RandomShuffling,
)
from hipmr_hf.errors import InputValueError
from hipmr_hf.training.classification import (
    build_pevit,
    build_vit_baseline,
    classification_loss,
    decaying_parameters,
    pevit_config_for,
)
from hipmr_hf.training.problems import label_names
from hipmr_hf.training.splits import load_encryption

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
HARDENED = RandomShuffling(image_size=64, patch_size=16, interval=4, drop_ratio=0.5, sub_patch_grid=2)


@pytest.mark.parametrize(
    ("encryption", "patch_size", "image_size", "position", "embedding"),
    [
        (RandomShuffling(), 16, [224, 224], "reference", "linear"),
        (HARDENED, 6, [12, 24], "reference", "linear"),
        (MixingUp(image_size=224), 8, [112, 112], "absolute", "nonlinear"),
        (MixingUp(), 8, 112, "absolute", "nonlinear"),
    ],
)
def test_the_config_fits_the_encryption(encryption, patch_size, image_size, position, embedding):
    config = pevit_config_for(encryption, "tiny")
    assert (config.patch_size, config.image_size) == (patch_size, image_size)
    assert (config.position_encoding, config.patch_embedding) == (position, embedding)


def test_an_override_wins_and_none_is_no_override():
    config = pevit_config_for(RandomShuffling(), "tiny", position_encoding="none", hidden_size=None)
    assert (config.position_encoding, config.hidden_size) == ("none", 192)


def test_an_unknown_size_is_named():
    with pytest.raises(ValueError, match="size: got 'huge', expected one of 'tiny', 'small', 'base'"):
        pevit_config_for(RandomShuffling(), "huge")


@pytest.mark.parametrize("with_teacher", [False, True])
def test_the_model_takes_what_the_processor_makes_of_an_encrypted_image(photo, with_teacher):
    model, processor = build_pevit(HARDENED, with_teacher=with_teacher, **SMALL, num_labels=5)
    inputs = processor(HARDENED(photo), return_tensors="pt")
    kind = PEViTForImageClassificationWithTeacher if with_teacher else PEViTForImageClassification
    assert type(model) is kind and model.eval()(**inputs).logits.shape == (1, 5)


def test_a_checkpoint_with_another_number_of_classes_gets_a_new_head(tmp_path):
    model, processor = build_pevit(HARDENED, **SMALL, **label_names(["a", "b", "c"]))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, _ = build_pevit(HARDENED, checkpoint=str(tmp_path), **label_names(["a", "b", "c", "d", "e"]))
    assert again.classifier.out_features == 5
    assert torch.equal(again.pevit.layernorm.weight, model.pevit.layernorm.weight)
    assert torch.equal(
        again.pevit.embeddings.patch_embeddings.projection.weight,
        model.pevit.embeddings.patch_embeddings.projection.weight,
    )


def test_a_checkpoint_for_wider_patches_gets_a_new_patch_embedding(tmp_path, photo):
    """A DeiT has patches of 16 pixels, mixed images have patches of 8: the rest of its weights stay."""
    model, processor = build_pevit(RandomShuffling(), **SMALL, num_labels=3)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    mixed = RandomShuffling(sub_patch_grid=2)

    again, processor = build_pevit(mixed, checkpoint=str(tmp_path), num_labels=3)

    assert again.config.patch_size == processor.patch_size == 8
    assert torch.equal(again.classifier.weight, model.classifier.weight)
    hidden_states = again.eval()(**processor(mixed(photo), return_tensors="pt"), output_hidden_states=True)
    assert hidden_states.hidden_states[0].shape == (1, 197, 32)


def test_the_baseline_has_the_same_size_and_another_architecture(photo):
    model, processor = build_vit_baseline((64, 64), 16, size="tiny", **SMALL, num_labels=5)
    pevit, _ = build_pevit(
        RandomShuffling(image_size=64), size="tiny", **SMALL, num_labels=5, position_encoding="none"
    )
    assert isinstance(model, ViTForImageClassification)
    assert model(**processor(photo, return_tensors="pt")).logits.shape == (1, 5)
    positions = model.vit.embeddings.position_embeddings.numel()
    assert model.num_parameters() - positions == pevit.num_parameters()


@pytest.mark.parametrize("kind", ["pevit", "vit"])
def test_weight_decay_spares_what_the_recipe_spares(kind):
    if kind == "pevit":
        model, _ = build_pevit(RandomShuffling(), **SMALL)
    else:
        model, _ = build_vit_baseline((64, 64), 16, **SMALL)
    decaying = set(decaying_parameters(model))
    spared = {name for name, _ in model.named_parameters()} - decaying
    assert any(name.endswith("cls_token") for name in spared)
    assert all(model.get_parameter(name).ndim > 1 for name in decaying)
    assert not any(name.endswith(("position_embeddings", "bias")) for name in decaying)
    assert any(name.endswith("reference") for name in decaying) == (kind == "pevit")


def test_the_loss_on_one_hot_probabilities_is_the_loss_on_class_ids():
    model, _ = build_pevit(RandomShuffling(image_size=32, patch_size=8), **SMALL, num_labels=5)
    model.eval()
    pixels, labels = torch.rand(3, 3, 32, 32), torch.tensor([0, 4, 2])
    ids, _ = classification_loss(model, {"pixel_values": pixels, "labels": labels})
    soft, _ = classification_loss(model, {"pixel_values": pixels, "labels": torch.eye(5)[labels]})
    torch.testing.assert_close(ids, soft)


def test_a_dataset_that_the_model_was_not_trained_on_is_refused(tmp_path):
    RandomShuffling().save_pretrained(tmp_path / "data")
    RandomShuffling(interval=2).save_pretrained(tmp_path / "model")
    assert load_encryption(tmp_path / "data") == RandomShuffling()
    with pytest.raises(ValueError, match=r"interval=0.*but .* was trained on .*interval=2"):
        load_encryption(tmp_path / "data", model_name=tmp_path / "model")


# Arguments that a config does not have


@pytest.mark.parametrize("unknown", [1, None])
@pytest.mark.parametrize("checkpoint", [None, "somewhere"])
def test_unknown_arguments_are_refused(unknown, checkpoint):
    with pytest.raises(
        InputValueError, match=r"unknown: PEViTConfig has no such argument, allowed are .*hidden_"
    ):
        build_pevit(HARDENED, checkpoint=checkpoint, unknown=unknown)
    with pytest.raises(InputValueError, match=r"postion_encoding: .*did you mean position_encoding\?"):
        pevit_config_for(HARDENED, postion_encoding="none")
    with pytest.raises(InputValueError, match="patch_drop_rate: ViTConfig has no such argument"):
        build_vit_baseline((64, 64), 16, patch_drop_rate=0.5)


def test_a_value_that_the_config_refuses_is_an_error_of_whoever_gave_it():
    with pytest.raises(
        InputValueError, match=r"^Field 'position_encoding' expected one of .*, got somewhere$"
    ):
        pevit_config_for(HARDENED, position_encoding="somewhere")
    with pytest.raises(InputValueError, match=r"^`hidden_size` must be a multiple of `num_attention_heads`"):
        build_pevit(HARDENED, hidden_size=31)


def test_the_processor_knows_the_size_of_every_encrypted_image(tmp_path):
    model, processor = build_pevit(HARDENED, **SMALL, num_labels=3)
    assert processor.encrypted_size == HARDENED.encrypted_size == (12, 24)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, processor = build_pevit(MixingUp(patch_size=12), checkpoint=str(tmp_path))
    assert again.config.patch_size == 6 and processor.encrypted_size is None
