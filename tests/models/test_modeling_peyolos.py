import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForObjectDetection, pipeline

from hipmr_hf.models import PEYolosConfig, PEYolosForObjectDetection, PEYolosImageProcessorPil, PEYolosModel
from hipmr_hf.models.embeddings_peyolos import bicubic_weights
from hipmr_hf.models.loss_peyolos import detection_loss

MODELS = (PEYolosModel, PEYolosForObjectDetection)


def tiny_config(**overrides) -> PEYolosConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "num_labels": 3}
    fitting = {"patch_size": 4, "image_size": (16, 24), "num_detection_tokens": 6}
    return PEYolosConfig(**{**sizes, **fitting, **overrides})


def build(model_class=PEYolosForObjectDetection, seed: int = 0, **overrides):
    """A model whose weights are drawn large, so that mistakes show."""
    torch.manual_seed(seed)
    return model_class(tiny_config(**{"initializer_range": 0.2, **overrides})).eval()


def random_pixels(batch_size: int = 2, height: int = 16, width: int = 24) -> torch.Tensor:
    return torch.randn(batch_size, 3, height, width, generator=torch.Generator().manual_seed(1))


def labels_for(*numbers: int) -> list[dict[str, torch.Tensor]]:
    """Labels of one image for each number of objects."""
    generator = torch.Generator().manual_seed(2)
    return [
        {
            "class_labels": torch.randint(0, 3, (number,), generator=generator),
            "boxes": 0.2 + 0.3 * torch.rand(number, 4, generator=generator),
        }
        for number in numbers
    ]


def padded(images: list[torch.Tensor], fill: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    pixel_values = torch.full((len(images), 3, height, width), fill)
    pixel_mask = torch.zeros(len(images), height, width, dtype=torch.int64)
    for i, image in enumerate(images):
        pixel_values[i, :, : image.shape[1], : image.shape[2]] = image
        pixel_mask[i, : image.shape[1], : image.shape[2]] = 1
    return pixel_values, pixel_mask


# Positions


@given(source=st.integers(1, 9), target=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_bicubic_weights_are_pytorchs_interpolation(source, target):
    ours = bicubic_weights(source, torch.tensor([float(target)], dtype=torch.float64), target)[0]
    rows = torch.eye(source, dtype=torch.float64)[None, :, :, None]
    theirs = torch.nn.functional.interpolate(rows, size=(target, 1), mode="bicubic", align_corners=False)
    torch.testing.assert_close(ours, theirs[0, :, :, 0].T, atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(16, 24), (24, 16), (8, 48), (20, 12)])
@torch.no_grad()
def test_positions_are_always_resized_even_where_the_number_of_patches_is_the_same(size):
    embeddings = build(PEYolosModel).embeddings
    tokens, _ = embeddings(random_pixels(1, *size))
    patches = embeddings.patch_embeddings(random_pixels(1, *size)).flatten(2).transpose(1, 2)
    prefix, grid, suffix = embeddings.position_embeddings.split([1, 24, 6], dim=1)
    grid = grid.unflatten(1, (4, 6)).permute(0, 3, 1, 2)
    rows, columns = size[0] // 4, size[1] // 4
    grid = torch.nn.functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
    bare = torch.cat((embeddings.cls_token, patches, embeddings.detection_tokens), dim=1)
    positions = torch.cat((prefix, grid.flatten(2).transpose(1, 2), suffix), dim=1)
    torch.testing.assert_close(tokens, bare + positions, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_detection_tokens", [1, 10, 100])
@torch.no_grad()
def test_mid_positions_work_for_any_number_of_detections_and_any_size(num_detection_tokens):
    """The published program fails here unless there are 100 detection tokens."""
    sizes = {"use_mid_position_embeddings": True, "num_detection_tokens": num_detection_tokens}
    model = build(**sizes)
    assert model(random_pixels(1, 20, 12)).logits.shape == (1, num_detection_tokens, 4)
    mid = model.peyolos.mid_position_embeddings
    assert mid.shape == (2, 1, 1 + 24 + num_detection_tokens, 32)
    before = model(random_pixels()).logits
    mid[1, 0, -1] += torch.linspace(-2, 2, 32)  # the last block but one, the last detection token
    assert (model(random_pixels()).logits - before).abs().max() > 1e-3


# Padding


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("mid", [False, True])
@torch.no_grad()
def test_padding_leaves_the_detections_of_every_image_unchanged(attention, mid):
    model = build(use_mid_position_embeddings=mid).double()
    model.set_attn_implementation(attention)
    images = [random_pixels(1, *size)[0].double() for size in ((16, 24), (8, 12), (24, 4))]
    pixel_values, pixel_mask = padded(images)
    together = model(pixel_values.double(), pixel_mask=pixel_mask)
    # eager attention does its softmax in float32
    tolerance = 1e-12 if attention == "sdpa" else 1e-6
    for i, image in enumerate(images):
        alone = model(image[None])
        torch.testing.assert_close(together.logits[i], alone.logits[0], atol=tolerance, rtol=0)
        torch.testing.assert_close(together.pred_boxes[i], alone.pred_boxes[0], atol=tolerance, rtol=0)


@torch.no_grad()
def test_what_stands_in_the_padding_does_not_matter():
    model = build()
    images = [random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]]
    outputs = [
        model(values, pixel_mask=mask).logits for values, mask in (padded(images), padded(images, 9.0))
    ]
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-6, rtol=0)
    without_mask = model(padded(images, 9.0)[0]).logits
    assert (without_mask[1] - outputs[1][1]).abs().max() > 1e-3  # so the test would notice


@torch.no_grad()
def test_a_mask_without_padding_changes_nothing():
    model = build()
    mask = torch.ones(2, 16, 24, dtype=torch.int64)
    expected = model(random_pixels()).logits
    torch.testing.assert_close(model(random_pixels(), pixel_mask=mask).logits, expected, atol=1e-6, rtol=0)


def test_gradients_of_an_image_do_not_see_the_padding():
    images, labels = [random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]], labels_for(2, 3)
    model = build().train()
    alone = sum(model(image[None], labels=[label]).loss for image, label in zip(images, labels, strict=True))
    alone.backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    pixel_values, pixel_mask = padded(images)
    for i in range(2):
        output = model(pixel_values, pixel_mask=pixel_mask)
        part = detection_loss(
            model.config, output.logits[i : i + 1], output.pred_boxes[i : i + 1], labels[i : i + 1]
        )
        part[0].backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-3, msg=name)


# Initialisation


def test_a_new_detectors_queries_differ():
    torch.manual_seed(0)
    model = PEYolosForObjectDetection(tiny_config(use_mid_position_embeddings=True, hidden_size=64)).eval()
    for name in ("cls_token", "detection_tokens", "position_embeddings"):
        values = getattr(model.peyolos.embeddings, name)
        assert values.std().item() == pytest.approx(0.02, rel=0.3), name
    assert model.peyolos.mid_position_embeddings.std().item() == pytest.approx(0.02, rel=0.1)
    boxes = model(random_pixels(1)).pred_boxes[0]
    assert torch.cdist(boxes, boxes).fill_diagonal_(1).min() > 1e-5


def test_heads_and_patch_convolutions_keep_pytorchs_initialisation():
    torch.manual_seed(0)
    model = PEYolosForObjectDetection(tiny_config(hidden_size=256))
    patches = model.peyolos.embeddings.patch_embeddings
    for layer in (patches.projection, patches.mixing[1], model.bbox_predictor.layers[0]):
        bound = layer.weight[0].numel() ** -0.5
        assert bound * 0.95 < layer.weight.abs().max() <= bound
        assert 0 < layer.bias.abs().max() <= bound
    assert model.peyolos.layers[0].mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_missing_weights_are_initialised_when_a_base_model_becomes_a_detector(tmp_path):
    build(PEYolosModel).save_pretrained(tmp_path)
    model = PEYolosForObjectDetection.from_pretrained(tmp_path, num_labels=7)
    assert model.class_labels_classifier.layers[2].weight.shape == (8, 32)
    assert 0 < model.class_labels_classifier.layers[2].bias.abs().max() <= 32**-0.5


# The stack


@pytest.mark.slow
@torch.no_grad()
def test_flex_attention_agrees():
    """It compiles its kernel for every shape, so it runs once, with padding."""
    model = build(PEYolosModel)
    pixel_values, pixel_mask = padded([random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]])
    expected = model(pixel_values, pixel_mask).pooler_output
    model.set_attn_implementation("flex_attention")
    torch.testing.assert_close(model(pixel_values, pixel_mask).pooler_output, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_class", MODELS)
@torch.no_grad()
def test_hidden_states_and_attentions_have_every_layer(model_class):
    model = build(model_class)
    model.set_attn_implementation("eager")
    output = model(random_pixels(), output_hidden_states=True, output_attentions=True)
    assert [state.shape for state in output.hidden_states] == [(2, 31, 32)] * 4
    assert [weights.shape for weights in output.attentions] == [(2, 2, 31, 31)] * 3


@torch.no_grad()
def test_padding_gets_no_attention():
    model = build(PEYolosModel)
    model.set_attn_implementation("eager")
    pixel_values, pixel_mask = padded([random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]])
    weights = model(pixel_values, pixel_mask, output_attentions=True).attentions[0]
    real = pixel_mask[1, ::4, ::4].flatten().bool()
    assert weights[1, :, :, 1:25][..., ~real].abs().max() == 0
    assert weights[1, :, :, 1:25][..., real].min() > 0


@pytest.mark.parametrize("model_class", MODELS)
@torch.no_grad()
def test_saving_and_loading_keeps_the_outputs(model_class, tmp_path):
    model = build(model_class, use_mid_position_embeddings=True)
    model.save_pretrained(tmp_path)
    auto_class = AutoModel if model_class is PEYolosModel else AutoModelForObjectDetection
    reloaded = auto_class.from_pretrained(tmp_path)
    assert type(reloaded) is model_class
    assert AutoConfig.from_pretrained(tmp_path).position_grid == (4, 6)
    ours, theirs = (m(random_pixels()).last_hidden_state for m in (model, reloaded))
    assert torch.equal(ours, theirs)


def test_gradient_checkpointing_gives_equal_gradients():
    gradients = []
    pixel_values, pixel_mask = padded([random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]])
    for checkpointing in (False, True):
        model = build(drop_path_rate=0.3, use_mid_position_embeddings=True).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        torch.manual_seed(3)
        model(pixel_values, pixel_mask, labels=labels_for(2, 0)).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_every_parameter_gets_a_gradient_even_without_objects():
    """Otherwise data-parallel training waits for ever."""
    model = build(use_mid_position_embeddings=True).train()
    model(random_pixels(), labels=labels_for(0, 0)).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_bfloat16_trains_and_stays_close():
    model = build(initializer_range=0.02)
    expected = model(random_pixels()).pred_boxes
    model = model.to(torch.bfloat16)
    output = model(random_pixels(), labels=labels_for(2, 1))  # float32 pixels are cast by the model
    assert output.pred_boxes.dtype == torch.bfloat16 and output.loss.dtype == torch.float32
    assert (output.pred_boxes.float() - expected).abs().max() < 0.05
    output.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@torch.no_grad()
def test_the_graph_has_no_breaks():
    model = build().eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    images = [random_pixels(1, 16, 24)[0], random_pixels(1, 8, 12)[0]]
    for inputs in ((random_pixels(),), padded(images)):
        torch.testing.assert_close(compiled(*inputs).logits, model(*inputs).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("with_mask", "mid"), [(False, True), (True, False)])
@torch.no_grad()
def test_the_exported_program_takes_any_batch_and_size(with_mask, mid):
    model = build(use_mid_position_embeddings=mid)
    names = ["pixel_values", "pixel_mask"][: 1 + with_mask]

    def inputs(batch_size: int, height: int, width: int) -> dict[str, torch.Tensor]:
        mask = torch.ones(batch_size, height, width, dtype=torch.int64)
        mask[0, -4:] = 0
        tensors = {"pixel_values": random_pixels(batch_size, height, width), "pixel_mask": mask}
        return {name: tensors[name] for name in names}

    batch, rows, columns = (torch.export.Dim(name, min=1, max=64) for name in ("batch", "rows", "columns"))
    sizes = {
        "pixel_values": (batch, None, 4 * rows, 4 * columns),
        "pixel_mask": (batch, 4 * rows, 4 * columns),
    }
    shapes = {name: sizes[name] for name in names}
    program = torch.export.export(model, (), inputs(2, 16, 24), dynamic_shapes=shapes).module()
    for size in ((2, 16, 24), (1, 32, 12), (3, 8, 40)):
        exported, ours = program(**inputs(*size)), model(**inputs(*size))
        torch.testing.assert_close(exported.logits, ours.logits, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(exported.pred_boxes, ours.pred_boxes, atol=1e-6, rtol=1e-5)


def test_training_lowers_the_loss():
    model = build(initializer_range=0.02).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = model(random_pixels(), labels=labels_for(2, 1)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_pipeline_detects_on_an_encrypted_image(tmp_path):
    torch.manual_seed(0)
    build(id2label={0: "cat", 1: "dog", 2: "cow"}).save_pretrained(tmp_path)
    PEYolosImageProcessorPil(patch_size=4).save_pretrained(tmp_path)
    assert type(AutoImageProcessor.from_pretrained(tmp_path)) is PEYolosImageProcessorPil
    detector = pipeline("object-detection", model=str(tmp_path), device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    found = detector(Image.fromarray(pixels), threshold=0.0)
    assert len(found) == 6 and {entry["label"] for entry in found} <= {"cat", "dog", "cow"}
    assert all(set(entry["box"]) == {"xmin", "ymin", "xmax", "ymax"} for entry in found)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`pixel_values` is missing"),
        (
            {"pixel_values": torch.zeros(2, 1, 16, 24)},
            r"shape \(batch, 3, height, width\), got \(2, 1, 16, 24\)",
        ),
        ({"pixel_values": torch.zeros(2, 3, 16, 18)}, r"whole patches of 4 pixels.*\(16, 18\)"),
        (
            {"pixel_values": torch.zeros(2, 3, 16, 24), "pixel_mask": torch.ones(2, 16, 20)},
            r"`pixel_mask` must have the shape \(2, 16, 24\).*got \(2, 16, 20\)",
        ),
    ],
)
def test_wrong_inputs_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build()(**arguments)
