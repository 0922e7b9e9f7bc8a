import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForPreTraining

from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEViTForPreTraining

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4}
PLACES = {"pretraining_task": "places", "position_encoding": "none", "image_size": [16, 16]}


def build(**overrides) -> PEViTForPreTraining:
    torch.manual_seed(0)
    return PEViTForPreTraining(PEViTConfig(**{**SMALL, **overrides}))


def test_foreign_patches_are_those_of_the_next_image_and_all_others_stay():
    model = build().eval()
    seen = []
    model.pevit.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pixels = torch.stack([torch.full((3, 8, 12), float(i)) for i in range(3)])
    foreign = torch.zeros(3, 6, dtype=torch.bool)
    foreign[0, 4] = foreign[2, 0] = True
    model(pixels, foreign_patches=foreign)
    (mixed,) = seen
    assert (mixed[0, :, 4:8, 4:8] == 1).all() and (mixed[2, :, :4, :4] == 0).all()
    assert (mixed != pixels).sum() == 2 * 3 * 16


@pytest.mark.parametrize("patch_embedding", ["linear", "invariant"])
def test_patches_in_another_order_get_the_same_answers_in_that_order(patch_embedding):
    model = build(patch_embedding=patch_embedding, position_encoding="reference").double().eval()
    pixels, foreign = torch.rand(2, 3, 4, 24).double(), torch.rand(2, 6) < 0.4
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled = pixels.unflatten(3, (6, 4))[:, :, :, order].flatten(3)
    first = model(pixels, foreign_patches=foreign)
    second = model(shuffled, foreign_patches=foreign[:, order])
    torch.testing.assert_close(first.logits[:, order], second.logits)
    torch.testing.assert_close(first.loss, second.loss)


def test_it_learns_what_belongs_together_and_starts_a_classifier(tmp_path):
    """Each image has patches of one colour of its own; the few that do not fit are told after a while."""
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 450)
    for _ in range(450):
        colours = torch.rand(16, 3, 1, 1).expand(-1, -1, 16, 16) * 2 - 1
        loss = model(colours).loss
        loss.backward()
        # Without both, the processor's arithmetic decides whether a run ends at .75 or in a dip.
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    told = model.eval()(torch.rand(64, 3, 1, 1).expand(-1, -1, 16, 16) * 2 - 1)
    right = ((told.logits > 0) == told.foreign_patches).float().mean()
    assert right > 0.85  # 0.75 for whoever finds none
    model.save_pretrained(tmp_path)
    assert type(AutoModelForPreTraining.from_pretrained(tmp_path)) is PEViTForPreTraining
    classifier, loaded = PEViTForImageClassification.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    assert set(loaded["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    ours, theirs = model.pevit.state_dict(), classifier.pevit.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_does_not_fit_is_named():
    with pytest.raises(StrictDataclassError, match="`foreign_patch_rate` must be above 0"):
        PEViTConfig(foreign_patch_rate=0.0)
    with pytest.raises(ValueError, match=r"needs every patch, got `patch_drop_rate` 0\.5"):
        build(patch_drop_rate=0.5)
    with pytest.raises(ValueError, match="at least 2 images"):
        build()(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"`foreign_patches` must have the shape \(2, 4\)"):
        build()(torch.rand(2, 3, 8, 8), foreign_patches=torch.ones(2, 3, dtype=torch.bool))


def test_places_that_cannot_be_told_are_refused():
    with pytest.raises(StrictDataclassError, match="`context_patch_rate` must be above 0"):
        PEViTConfig(context_patch_rate=0)
    with pytest.raises(ValueError, match='got `position_encoding` "absolute"'):
        build(**{**PLACES, "position_encoding": "absolute"})
    model = build(**PLACES)
    with pytest.raises(ValueError, match=r"must be of the size \[16, 16\] .* got \(8, 16\)"):
        model(torch.rand(1, 3, 8, 16))
    with pytest.raises(ValueError, match=r"`context_patches` must have the shape \(1, 16\)"):
        model(torch.rand(1, 3, 16, 16), context_patches=torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_all_look_at_the_context_alone_while_places_are_told(attention):
    model = build(**PLACES).double().eval()
    model.set_attn_implementation(attention)
    pixels = torch.rand(1, 3, 16, 16).double()
    context = torch.arange(16)[None] % 4 == 1
    before = model(pixels, context_patches=context).logits[0]
    pixels[:, :, 12:, 12:] = 1.0  # the last patch, at which nobody looks
    after = model(pixels, context_patches=context).logits[0]
    torch.testing.assert_close(before[:15], after[:15])
    assert not torch.allclose(before[15], after[15])
    pixels[:, :, :4, 4:8] = 1.0  # one that all look at
    assert not torch.isclose(after, model(pixels, context_patches=context).logits[0]).all(dim=1).any()


def test_as_many_patches_are_context_in_each_image():
    drawn = build(**PLACES, context_patch_rate=0.3)(torch.rand(8, 3, 16, 16)).context_patches
    assert (drawn.sum(dim=1) == 5).all() and len({tuple(row.tolist()) for row in drawn}) > 1


def ramps(count: int) -> torch.Tensor:
    """Images that are brighter to the right and redder to the bottom, each from a level of its own."""
    level, steps = torch.rand(count, 3, 1, 1), torch.arange(16.0) / 16
    falls = torch.stack((steps.expand(16, 16).T, steps.expand(16, 16), torch.zeros(16, 16)))
    return level + falls


def test_it_learns_places_relative_to_the_context_and_starts_a_classifier_with_positions(tmp_path):
    model = build(**PLACES, context_patch_rate=0.5)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(200):
        loss = model(ramps(16)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    told = model.eval()(ramps(64)).logits.argmax(dim=2)
    assert (told == torch.arange(16)).float().mean() > 0.3  # a sixteenth for whoever guesses
    model.save_pretrained(tmp_path)
    assert AutoModelForPreTraining.from_pretrained(tmp_path).config.pretraining_task == "places"
    classifier, loaded = PEViTForImageClassification.from_pretrained(
        tmp_path, num_labels=3, position_encoding="absolute", output_loading_info=True
    )
    new = {"classifier.weight", "classifier.bias", "pevit.embeddings.position_embeddings"}
    assert set(loaded["missing_keys"]) == new and classifier.config.position_grid == (4, 4)
