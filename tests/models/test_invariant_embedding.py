"""The invariant patch embeddings: formulas, invariance, and all that a model with one goes through."""

import math

import numpy as np
import pytest
import torch
from invariant_models import KINDS, WIDTHS, classifier, detector, embedding_of, random_pixels
from transformers import AutoModelForImageClassification, AutoModelForObjectDetection

from hipmr_hf.encryption import RandomShuffling
from hipmr_hf.models import (
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTImageProcessorPil,
)
from hipmr_hf.models.embeddings_pevit import turned
from hipmr_hf.training.classification import build_pevit


def turn_patches(pixels: torch.Tensor, size: int, seed: int) -> torch.Tensor:
    """Turn every patch by a symmetry of its own, all of which come up."""
    batch, channels, height, width = pixels.shape
    tiles = pixels.reshape(batch, channels, height // size, size, width // size, size)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, size, size)
    turns = np.random.default_rng(seed).permutation(np.arange(len(tiles)) % 8)
    tiles = torch.stack([turned(tile)[turn] for tile, turn in zip(tiles, turns, strict=True)])
    tiles = tiles.reshape(batch, height // size, width // size, channels, size, size)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(pixels.shape)


def plain_formula(embedding: torch.nn.Module, pixels: np.ndarray, texture_alone: bool) -> np.ndarray:
    """Patch by patch, turn by turn, in NumPy: (batch, hidden_size, rows, columns)."""
    weights = {name: weight.detach().numpy() for name, weight in embedding.named_parameters()}
    kernel, bias = weights["projection.weight"], weights["projection.bias"]
    toning = weights.get("tones.weight", np.zeros((len(bias), 6, 1, 1)))[:, :, 0, 0]
    (hidden_size, _, size, _), (batch, _, height, width) = kernel.shape, pixels.shape
    tokens = np.empty((batch, hidden_size, height // size, width // size))
    for image, row, column in np.ndindex(batch, height // size, width // size):
        patch = pixels[image, :, row * size : (row + 1) * size, column * size : (column + 1) * size]
        mean, contrast = patch.mean(axis=(1, 2)), patch.std(axis=(1, 2))
        seen = (patch - mean[:, None, None]) / contrast[:, None, None] / 2 if texture_alone else patch
        found = np.zeros(hidden_size)
        for quarter in range(4):
            for square in (seen, seen[:, :, ::-1]):
                hidden = (kernel * np.rot90(square, quarter, axes=(1, 2))).sum(axis=(1, 2, 3)) + bias
                found += [h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in hidden]
        tone = np.concatenate([2.5 * mean, 6.0 * contrast])
        token = weights["mixing.weight"][:, :, 0, 0] @ (found / 8) + weights["mixing.bias"]
        tokens[image, :, row, column] = token + toning @ tone
    return tokens


@KINDS
@pytest.mark.parametrize("build", [classifier, detector])
@torch.no_grad()
def test_the_embedding_is_the_formula(build, kind):
    embedding, pixels = embedding_of(build(patch_embedding=kind).double()), random_pixels().double()
    expected = torch.from_numpy(plain_formula(embedding, pixels.numpy(), kind != "invariant"))
    torch.testing.assert_close(embedding(pixels), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("seed", range(4))
@KINDS
@torch.no_grad()
def test_turning_any_patch_leaves_the_outputs_unchanged(dtype, tolerance, seed, kind):
    pixels = random_pixels().to(dtype)
    changed = turn_patches(pixels, 4, seed)
    assert (changed - pixels).abs().mean() > 0.5
    placed = classifier(position_encoding="absolute", image_size=(16, 24), patch_embedding=kind)
    for model in (classifier(patch_embedding=kind), placed, detector(patch_embedding=kind)):
        model = model.to(dtype)
        torch.testing.assert_close(
            model(changed).logits, model(pixels).logits, atol=tolerance, rtol=tolerance
        )
    linear = classifier(patch_embedding="linear").to(dtype)
    assert (linear(changed).logits - linear(pixels).logits).abs().max() > 1e-2


@KINDS
@torch.no_grad()
def test_mirrored_patches_are_told_from_others_by_what_is_in_them(kind):
    """Invariance is no blindness: other pixels give another token; another tone too, if it is seen at all."""
    embedding, pixels = embedding_of(classifier(patch_embedding=kind)), random_pixels(1, 4, 4)
    shuffled = pixels.flatten(2)[..., torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    for other in (pixels + 0.2, pixels * 0.5):
        seen = (embedding(other) - embedding(pixels)).abs().max()
        assert seen < 1e-5 if kind == "texture" else seen > 1e-2
    assert (embedding(shuffled.reshape(pixels.shape)) - embedding(pixels)).abs().max() > 1e-2


@torch.no_grad()
def test_a_texture_token_does_not_see_the_tone_that_was_dealt_to_it():
    embedding, pixels = embedding_of(classifier(patch_embedding="texture")), 0.5 * random_pixels(1, 4, 4)
    contrasts, means = torch.tensor([[0.3, 1.2, 0.7], [0.2, -0.1, 0.4]]).view(2, 3, 1, 1)
    torch.testing.assert_close(embedding(pixels * contrasts + means), embedding(pixels), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_flat_patch_has_no_texture():
    """Half a grey level is the least contrast: rounding is not blown up to a texture, and nothing is NaN."""
    embedding = embedding_of(classifier(patch_embedding="texture"))
    assert embedding.seen(torch.full((1, 3, 4, 4), 0.3)).abs().max() < 1e-4
    faint = embedding.seen(0.3 + 1e-4 * random_pixels(1, 4, 4))
    assert 0 < faint.abs().max() < 0.05


@torch.no_grad()
def test_turned_sub_patches_of_an_rs_image_change_nothing_but_the_order(photo):
    """With `sub_patch_symmetries` and no mixing, two encryptions of a picture give the same logits."""
    encryption = RandomShuffling(64, 8, sub_patch_symmetries=True)
    model, processor = build_pevit(encryption, **WIDTHS, num_labels=5, patch_embedding="linear")
    blind, _ = build_pevit(encryption, **WIDTHS, num_labels=5)
    inputs = [processor(encryption(photo), return_tensors="pt")["pixel_values"].double() for _ in range(2)]
    assert blind.config.patch_embedding == "invariant" and blind.config.patch_size == 8
    first, second = (blind.double().eval()(pixels).logits for pixels in inputs)
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)
    first, second = (model.double().eval()(pixels).logits for pixels in inputs)
    assert (first - second).abs().max() > 1e-5


def test_it_has_the_parameters_it_needs():
    kinds = ("linear", "nonlinear", "invariant", "texture")
    linear, nonlinear, invariant, texture = (
        classifier(patch_embedding=kind).num_parameters() for kind in kinds
    )
    assert texture == nonlinear
    assert nonlinear - linear == 32 * 32 + 32
    assert invariant - nonlinear == 32 * 6  # kernels are turned, not learned eight times
    shapes = {name: tuple(weight.shape) for name, weight in embedding_of(classifier()).named_parameters()}
    assert shapes == {
        "projection.weight": (32, 3, 4, 4),
        "projection.bias": (32,),
        "mixing.weight": (32, 32, 1, 1),
        "mixing.bias": (32,),
        "tones.weight": (32, 6, 1, 1),
    }
    assert not list(embedding_of(classifier()).buffers())


def test_it_is_initialised_like_the_other_convolutions():
    drawn = embedding_of(classifier(hidden_size=256))
    for layer, fan_in in ((drawn.projection, 48), (drawn.mixing, 256), (drawn.tones, 6)):
        assert layer.weight.abs().max() <= fan_in**-0.5
        assert layer.weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.06)
    normal = embedding_of(classifier(hidden_size=256, patch_embedding_initializer="truncated_normal"))
    assert normal.tones.weight.std().item() == pytest.approx(0.2, rel=0.1)


def test_tones_of_photographs_are_of_about_unit_size(photo):
    encryption = RandomShuffling(224, 16)
    pixels = PEViTImageProcessorPil(patch_size=16)(encryption(photo), return_tensors="pt")["pixel_values"]
    tones = embedding_of(classifier(patch_size=16)).measure_tones(pixels)
    means, contrasts = tones.square().mean((0, 2, 3)).sqrt().split(3)
    for found in (means, contrasts):
        assert found.min() > 0.5 and found.max() < 2


@KINDS
@pytest.mark.parametrize("build", [classifier, detector])
def test_every_parameter_learns_and_flat_patches_give_finite_gradients(build, kind):
    model, pixels = build(patch_embedding=kind).train(), random_pixels()
    pixels[:, :, :8] = 0.25
    pixels.requires_grad_()
    model(pixels).logits.square().mean().backward()
    assert pixels.grad.isfinite().all()
    for name, parameter in embedding_of(model).named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


@KINDS
@torch.no_grad()
def test_half_precision_keeps_the_contrast_of_flat_patches(kind):
    embedding = embedding_of(classifier(patch_embedding=kind)).to(torch.bfloat16)
    pixels = 0.75 + 0.004 * random_pixels()  # below what bfloat16 can tell apart at .75
    contrasts = embedding.measure_tones(pixels)[:, 3:]
    assert contrasts.dtype == torch.float32 and contrasts.min() > 6 * 0.001
    assert kind == "invariant" or embedding.seen(pixels).std() > 0.2
    assert embedding(pixels).dtype == torch.bfloat16


@KINDS
@pytest.mark.parametrize("model_class", [PEViTForImageClassification, PEViTForImageClassificationWithTeacher])
@torch.no_grad()
def test_saving_and_loading_keeps_the_logits(model_class, kind, tmp_path):
    model = classifier(model_class, patch_embedding=kind)
    model.save_pretrained(tmp_path)
    again = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert type(again) is model_class and again.config.patch_embedding == kind
    assert torch.equal(again(random_pixels()).logits, model(random_pixels()).logits)


@torch.no_grad()
def test_a_detector_is_saved_and_loaded(tmp_path):
    model = detector()
    model.save_pretrained(tmp_path)
    again = AutoModelForObjectDetection.from_pretrained(tmp_path)
    assert torch.equal(again(random_pixels()).pred_boxes, model(random_pixels()).pred_boxes)


@torch.no_grad()
def test_padding_does_not_move_what_is_detected():
    model, pixels = detector().double(), random_pixels(1).double()
    padded = torch.zeros(1, 3, 20, 32, dtype=torch.float64)
    padded[..., :16, :24] = pixels
    mask = torch.zeros(1, 20, 32, dtype=torch.int64)
    mask[..., :16, :24] = 1
    alone, together = model(pixels), model(padded, mask)
    torch.testing.assert_close(together.pred_boxes, alone.pred_boxes, atol=1e-6, rtol=0)


@KINDS
@pytest.mark.parametrize("build", [classifier, detector])
@torch.no_grad()
def test_the_graph_has_no_breaks(build, kind):
    model, pixels = build(patch_embedding=kind), random_pixels()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(pixels).logits, model(pixels).logits, atol=1e-6, rtol=1e-5)


def test_gradient_checkpointing_gives_equal_gradients():
    gradients = []
    for checkpointing in (False, True):
        model = classifier().train()
        if checkpointing:
            model.activation_checkpointing_enable()
        model(random_pixels(), labels=torch.tensor([0, 4])).loss.backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def dynamic_shapes() -> dict:
    batch, rows, columns = (torch.export.Dim(name, min=1, max=64) for name in ("batch", "rows", "columns"))
    return {"pixel_values": (batch, None, 4 * rows, 4 * columns)}


@KINDS
@pytest.mark.parametrize("build", [classifier, detector])
@torch.no_grad()
def test_the_exported_program_takes_any_batch_and_size(build, kind):
    model, inputs = build(patch_embedding=kind), {"pixel_values": random_pixels()}
    program = torch.export.export(model, (), inputs, dynamic_shapes=dynamic_shapes()).module()
    for size in ((2, 16, 24), (1, 32, 12), (3, 8, 40)):
        pixels = random_pixels(*size)
        exported, ours = program(pixel_values=pixels), model(pixels)
        torch.testing.assert_close(exported.logits, ours.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "kind"), [(classifier, "invariant"), (detector, "invariant"), (detector, "texture")]
)
@torch.no_grad()
def test_an_onnx_file_gives_the_same_logits(build, kind, tmp_path):
    reason = "needs the optional onnx, onnxscript and onnxruntime"
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=reason)
    import onnxruntime

    model, pixels = build(patch_embedding=kind), random_pixels()
    torch.onnx.export(
        model,
        kwargs={"pixel_values": pixels},
        f=str(tmp_path / "model.onnx"),
        dynamo=True,
        dynamic_shapes=dynamic_shapes(),
    )
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for size in ((2, 16, 24), (3, 8, 40)):
        pixels = random_pixels(*size)
        logits = session.run(None, {"pixel_values": pixels.numpy()})[0]
        np.testing.assert_allclose(logits, model(pixels).logits.numpy(), atol=2e-5, rtol=1e-4)


# Other numbers than these would make another model of every stored checkpoint. They are this package's own,
# computed in float64 with weights and pixels from the sines below.
GOLDEN_TOKEN = [-0.8088732559342283, 2.1409551416579777, 0.7863681019871599, 1.1358817756859698]
GOLDEN_LOGITS = [
    [1.176055290880831, 0.14882382582254136, -0.19159656668004654, 0.09362088942237966, -0.5450262676823511],
    [1.17614647079582, 0.14892339172380423, -0.1915794123187295, 0.09399121065449971, -0.5442399536282005],
]
GOLDEN_BOX = [0.1396718091674973, 0.5456234404978633, 0.5440691314047958, 0.5912703836721386]
GOLDEN_TEXTURE_TOKEN = [1.0202977282863976, -0.08257109466867933, -0.3512204987996751, 0.4514527792569882]
GOLDEN_TEXTURE_BOX = [0.1781607042158013, 0.44088818884325853, 0.6754930999735566, 0.6623843544213784]


def fill_with_sines(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for number, (_, weight) in enumerate(sorted(model.named_parameters())):
            steps = torch.arange(weight.numel(), dtype=torch.float64).reshape(weight.shape)
            weight.copy_(0.3 * torch.sin(steps * steps * 0.7 + number))
    return model


def pixels_of_sines() -> torch.Tensor:
    return torch.sin(torch.arange(2 * 3 * 16 * 24, dtype=torch.float64) * 0.37).reshape(2, 3, 16, 24)


@torch.no_grad()
def test_golden_numbers():
    model = fill_with_sines(classifier().double())
    boxes = fill_with_sines(detector().double())(pixels_of_sines()).pred_boxes
    texture = fill_with_sines(detector(patch_embedding="texture").double())
    for found, golden in (
        (embedding_of(texture)(pixels_of_sines())[1, :4, 2, 3], GOLDEN_TEXTURE_TOKEN),
        (texture(pixels_of_sines()).pred_boxes[1, 2], GOLDEN_TEXTURE_BOX),
        (embedding_of(model)(pixels_of_sines())[1, :4, 2, 3], GOLDEN_TOKEN),
        (model(pixels_of_sines()).logits, GOLDEN_LOGITS),
        (boxes[1, 2], GOLDEN_BOX),
    ):
        torch.testing.assert_close(found, torch.tensor(golden, dtype=torch.float64), atol=1e-11, rtol=0)
