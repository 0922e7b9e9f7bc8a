import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hipmr_hf.models import PEViTConfig, PEViTForImageClassification
from hipmr_hf.training.augmentation import EncryptedAugmentation, mixup, turn_patches


def set_model(patch_size: int = 8) -> PEViTForImageClassification:
    torch.manual_seed(0)
    config = PEViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=patch_size, num_labels=5
    )
    return PEViTForImageClassification(config).eval().double()


def shuffle(images: torch.Tensor, patch_size: int = 8) -> torch.Tensor:
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, height // patch_size, patch_size, width // patch_size, patch_size)
    patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    patches = patches[:, torch.randperm(patches.shape[1])]
    patches = patches.reshape(
        batch, height // patch_size, width // patch_size, channels, patch_size, patch_size
    )
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


@pytest.mark.parametrize("symmetry", range(8))
def test_turning_the_patches_of_a_shuffled_image_gives_the_logits_of_the_turned_plain_image(symmetry):
    model, plain = set_model(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    symmetries = torch.full((2,), symmetry)

    turned_plain = turn_patches(plain, symmetries)
    turned_shuffled = turn_patches(shuffle(plain), symmetries, patch_size=8)

    torch.testing.assert_close(model(turned_shuffled).logits, model(turned_plain).logits, atol=1e-9, rtol=0)


def test_symmetry_one_is_the_horizontal_flip_of_transformers_and_torch():
    images = torch.rand(2, 3, 16, 24)
    assert torch.equal(turn_patches(images, torch.ones(2, dtype=torch.long)), images.flip(-1))


@given(st.integers(0, 7))
def test_eight_symmetries_are_eight_different_images(symmetry):
    image = torch.arange(9.0).reshape(1, 1, 3, 3).expand(8, -1, -1, -1)
    turned = turn_patches(image, torch.arange(8))
    others = [i for i in range(8) if i != symmetry]
    assert not any(torch.equal(turned[symmetry], turned[i]) for i in others)


def test_an_image_that_is_not_square_cannot_be_turned_as_a_whole():
    with pytest.raises(ValueError, match="cannot be turned by 90 degrees as a whole"):
        turn_patches(torch.zeros(1, 3, 8, 16), torch.tensor([4]))


def test_patches_must_fit():
    with pytest.raises(ValueError, match="not whole patches of 5"):
        turn_patches(torch.zeros(1, 3, 8, 16), torch.tensor([1]), patch_size=5)


def test_mixup_blends_images_and_targets_alike():
    images, targets = torch.rand(4, 3, 8, 8), torch.eye(4)
    mixed, soft, lam = mixup(images, targets, alpha=0.8, generator=torch.Generator().manual_seed(0))
    assert 0 < lam < 1
    torch.testing.assert_close(mixed, lam * images + (1 - lam) * images.flip(0))
    torch.testing.assert_close(soft, lam * targets + (1 - lam) * targets.flip(0))
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(4))


def test_mixup_draws_beta():
    lams = [mixup(torch.zeros(1, 1, 1, 1), torch.ones(1, 1), alpha=0.8)[2] for _ in range(2000)]
    mean, variance = torch.tensor(lams).mean(), torch.tensor(lams).var()
    assert abs(mean - 0.5) < 0.05
    assert abs(variance - 1 / (4 * 2.6)) < 0.01  # Beta(a, a) has variance 1 / (4 (2 a + 1))


def test_smoothed_labels_are_what_torchs_label_smoothing_means():
    logits, labels = torch.randn(6, 5), torch.randint(5, (6,))
    batch = EncryptedAugmentation(num_labels=5, label_smoothing=0.1)(
        {"pixel_values": torch.zeros(6, 3, 8, 8), "labels": labels}
    )
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(torch.nn.functional.cross_entropy(logits, batch["labels"]), expected)


def test_a_batch_with_a_teacher_is_not_mixed():
    batch = {
        "pixel_values": torch.rand(4, 3, 8, 8),
        "labels": torch.arange(4),
        "teacher_logits": torch.rand(4, 4),
    }
    augmented = EncryptedAugmentation(num_labels=4, mixup_alpha=0.8)(batch)
    assert torch.equal(augmented["pixel_values"], batch["pixel_values"])
    assert torch.equal(augmented["teacher_logits"], batch["teacher_logits"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"turns": "spin"}, "turns: got 'spin', expected one of 'none', 'flips', 'symmetries'"),
        ({"mixup_alpha": -1}, "mixup_alpha: got -1"),
        ({"label_smoothing": 1.0}, "label_smoothing: got 1.0"),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        EncryptedAugmentation(num_labels=3, **arguments)
