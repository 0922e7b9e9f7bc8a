import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForImageClassification, Trainer, TrainingArguments

from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTModel,
)
from hipmr_hf.models.layers_pevit import PEViTDropPath

MODELS = (PEViTModel, PEViTForImageClassification, PEViTForImageClassificationWithTeacher)
LABELS = torch.tensor([0, 4])


def tiny_config(**overrides) -> PEViTConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 5}
    return PEViTConfig(**{**sizes, "patch_size": 4, "image_size": 16, **overrides})


def build(model_class=PEViTForImageClassification, seed: int = 0, **overrides):
    """A model whose weights are drawn large, so that mistakes show."""
    torch.manual_seed(seed)
    return model_class(tiny_config(initializer_range=0.2, **overrides)).eval()


def random_pixels(batch_size: int = 2, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randn(batch_size, 3, height, width, generator=torch.Generator().manual_seed(1))


def permute_patches(
    pixel_values: torch.Tensor, permutation: torch.Tensor, patch_size: int = 4
) -> torch.Tensor:
    patches = torch.nn.functional.unfold(pixel_values, patch_size, stride=patch_size)[..., permutation]
    return torch.nn.functional.fold(patches, pixel_values.shape[2:], patch_size, stride=patch_size)


def logits_of(output) -> torch.Tensor:
    return output.logits if hasattr(output, "logits") else output.pooler_output


# What the model is


@given(permutation=st.permutations(range(16)))
@settings(max_examples=20, deadline=None)
@torch.no_grad()
def test_permuting_patches_leaves_logits_unchanged(permutation):
    model, pixels = build().double(), random_pixels().double()
    shuffled = model(permute_patches(pixels, torch.tensor(permutation))).logits
    torch.testing.assert_close(shuffled, model(pixels).logits, atol=1e-12, rtol=0)


@torch.no_grad()
def test_absolute_positions_see_the_order_of_the_patches():
    model, pixels = build(position_encoding="absolute"), random_pixels()
    shuffled = model(permute_patches(pixels, torch.arange(16).flip(0))).logits
    assert (shuffled - model(pixels).logits).abs().max() > 1e-3


@pytest.mark.parametrize("model_class", MODELS)
@torch.no_grad()
def test_any_mosaic_of_the_same_patches_gives_the_same_logits(model_class):
    model, pixels = build(model_class), random_pixels()
    tiles = pixels.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5)  # (2, 4, 4, 3, 4, 4)
    mosaic = tiles.reshape(2, 2, 8, 3, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(2, 3, 8, 32)
    torch.testing.assert_close(logits_of(model(mosaic)), logits_of(model(pixels)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_pooled_output_is_the_normalised_class_token():
    output = build(PEViTModel)(random_pixels())
    assert output.last_hidden_state.shape == (2, 17, 32)
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state[:, 0])


@torch.no_grad()
def test_reference_encoding_is_the_papers_formula():
    encoding = build(PEViTModel).embeddings.reference_encoding
    tokens = torch.randn(2, 3, 32)
    hidden = torch.relu((tokens - encoding.reference) @ encoding.fc1.weight.T + encoding.fc1.bias)
    expected = tokens + torch.sigmoid(hidden @ encoding.fc2.weight.T + encoding.fc2.bias)
    torch.testing.assert_close(encoding(tokens), expected)


def test_position_encodings_have_the_parameters_they_need():
    names = {
        kind: {n for n, _ in build(PEViTModel, position_encoding=kind).named_parameters()}
        for kind in ("reference", "none", "absolute")
    }
    assert names["absolute"] - names["none"] == {"embeddings.position_embeddings"}
    assert all("reference_encoding" in name for name in names["reference"] - names["none"])
    assert build(PEViTModel, position_encoding="absolute").embeddings.position_embeddings.shape == (1, 17, 32)
    distilled = build(PEViTForImageClassificationWithTeacher, position_encoding="absolute")
    assert distilled.pevit.embeddings.position_embeddings.shape == (1, 18, 32)


@torch.no_grad()
def test_nonlinear_patch_embedding_is_convolution_gelu_convolution():
    patches = build(PEViTModel, patch_embedding="nonlinear").embeddings.patch_embeddings
    hidden = torch.nn.functional.gelu(patches.projection(random_pixels()))
    weight = patches.mixing[1].weight[..., 0, 0]
    expected = torch.einsum("oi,bihw->bohw", weight, hidden) + patches.mixing[1].bias[:, None, None]
    torch.testing.assert_close(patches(random_pixels()), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_positions_of_another_grid_are_resized_bicubically():
    embeddings = build(PEViTModel, position_encoding="absolute").embeddings
    assert embeddings.resize_positions(4, 4) is embeddings.position_embeddings
    resized = embeddings.resize_positions(3, 6)
    grid = embeddings.position_embeddings[:, 1:].reshape(1, 4, 4, 32).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, (3, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(resized[0, 1:], expected[0].flatten(1).T)
    torch.testing.assert_close(resized[:, :1], embeddings.position_embeddings[:, :1])
    output = build(PEViTModel, position_encoding="absolute")(random_pixels(height=12, width=24))
    assert output.last_hidden_state.shape == (2, 19, 32)


# Initialisation


def test_patch_convolution_keeps_pytorchs_initialisation_by_default():
    torch.manual_seed(0)
    kept = PEViTModel(tiny_config(hidden_size=256)).embeddings.patch_embeddings.projection
    bound = 48**-0.5
    assert kept.weight.abs().max() <= bound
    assert kept.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert kept.bias.abs().max() > 0.5 * bound
    config = tiny_config(hidden_size=256, patch_embedding_initializer="truncated_normal")
    drawn = PEViTModel(config).embeddings.patch_embeddings.projection
    assert drawn.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert drawn.bias.abs().max() == 0


def test_missing_weights_are_initialised_when_a_base_model_becomes_a_classifier(tmp_path):
    build(PEViTModel).save_pretrained(tmp_path)
    model = PEViTForImageClassification.from_pretrained(tmp_path, num_labels=7)
    assert model.classifier.weight.shape == (7, 32)
    assert 0.1 < model.classifier.weight.std() < 0.3  # initializer_range is 0.2
    assert model.classifier.bias.abs().max() == 0


# Training behaviour


def test_drop_path_keeps_the_mean_and_drops_whole_images():
    torch.manual_seed(0)
    drop_path = PEViTDropPath(0.25).train()
    output = drop_path(torch.ones(4000, 2, 3))
    per_image = output.flatten(1)
    assert (per_image == per_image[:, :1]).all()
    torch.testing.assert_close(per_image[:, 0].unique(), torch.tensor([0, 4 / 3]))
    assert (per_image[:, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert output.mean().item() == pytest.approx(1, abs=0.04)
    assert drop_path.eval()(output) is output


def test_drop_path_rates_rise_linearly():
    model = build(PEViTModel, num_hidden_layers=5, drop_path_rate=0.2)
    assert [layer.drop_path.rate for layer in model.layers] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert build(PEViTModel, num_hidden_layers=1, drop_path_rate=0.2).layers[0].drop_path.rate == 0


@pytest.mark.parametrize("position_encoding", ["reference", "none", "absolute"])
def test_patches_are_dropped_in_training_only(position_encoding):
    model = build(PEViTModel, patch_drop_rate=0.5, position_encoding=position_encoding)
    assert model(random_pixels()).last_hidden_state.shape[1] == 17
    assert model.train()(random_pixels()).last_hidden_state.shape[1] == 9


def test_dropped_patches_differ_between_images_and_one_always_stays():
    embeddings = build(PEViTModel, patch_drop_rate=0.5).embeddings
    patches = torch.arange(16.0).view(1, 16, 1).expand(8, -1, 32)
    kept = embeddings.drop_patches(patches)[..., 0]
    assert all(len(set(row.tolist())) == 8 for row in kept)
    assert len({tuple(sorted(row.tolist())) for row in kept}) > 1
    assert build(PEViTModel, patch_drop_rate=0.99).embeddings.drop_patches(patches).shape == (8, 1, 32)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_equal_gradients(reentrant):
    gradients = []
    for checkpointing in (False, True):
        model = build(drop_path_rate=0.5, patch_drop_rate=0.25, hidden_dropout_prob=0.1).train()
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": reentrant})
        torch.manual_seed(3)
        model(random_pixels(), labels=LABELS).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


# Losses


def test_soft_targets_generalise_class_ids():
    model = build(problem_type="single_label_classification")
    one_hot = torch.nn.functional.one_hot(LABELS, 5).float()
    hard, soft = (model(random_pixels(), labels=labels).loss for labels in (LABELS, one_hot))
    torch.testing.assert_close(hard, soft)
    mixed = model(random_pixels(), labels=0.3 * one_hot + 0.7 * one_hot.flip(0)).loss
    swapped = model(random_pixels(), labels=one_hot.flip(0)).loss
    torch.testing.assert_close(mixed, 0.3 * soft + 0.7 * swapped)


def test_floating_labels_are_multi_label_unless_the_problem_is_single_label():
    model = build(problem_type="multi_label_classification")
    labels = torch.rand(2, 5)
    output = model(random_pixels(), labels=labels)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output.logits, labels)
    torch.testing.assert_close(output.loss, expected)


def test_hard_distillation_is_deits_loss():
    model = build(PEViTForImageClassificationWithTeacher).train()
    teacher = torch.randn(2, 5)
    output = model(random_pixels(), labels=LABELS, teacher_logits=teacher)
    classes = torch.nn.functional.cross_entropy(output.cls_logits, LABELS)
    distilled = torch.nn.functional.cross_entropy(output.distillation_logits, teacher.argmax(-1))
    torch.testing.assert_close(output.loss, (classes + distilled) / 2)


def test_soft_distillation_is_deits_loss():
    overrides = {"distillation_type": "soft", "distillation_alpha": 0.1, "distillation_tau": 2.0}
    model = build(PEViTForImageClassificationWithTeacher, **overrides).train()
    teacher = torch.randn(2, 5)
    output = model(random_pixels(), labels=LABELS, teacher_logits=teacher)
    p, log_q = (teacher / 2).softmax(-1), (output.distillation_logits / 2).log_softmax(-1)
    distilled = (p * (p.log() - log_q)).sum() * 4 / p.numel()
    classes = torch.nn.functional.cross_entropy(output.cls_logits, LABELS)
    torch.testing.assert_close(output.loss, 0.9 * classes + 0.1 * distilled)


def test_without_a_teacher_the_mean_logits_are_evaluated_but_not_trained():
    model = build(PEViTForImageClassificationWithTeacher)
    output = model(random_pixels(), labels=LABELS)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, LABELS))
    with pytest.raises(ValueError, match="`teacher_logits` is missing while training"):
        model.train()(random_pixels(), labels=LABELS)
    model.config.distillation_type = "none"
    model(random_pixels(), labels=LABELS).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_distilled_model_leaves_the_callers_config_alone():
    config = tiny_config()
    assert PEViTForImageClassificationWithTeacher(config).config.use_distillation_token
    assert not config.use_distillation_token


# The stack


@pytest.mark.parametrize(
    ("model_class", "attention"),
    # flex attention compiles its kernel, so it runs once; the heads do not touch it
    [*((model_class, "sdpa") for model_class in MODELS), (PEViTModel, "flex_attention")],
)
@torch.no_grad()
def test_attention_implementations_agree(model_class, attention):
    model = build(model_class)
    model.set_attn_implementation("eager")
    eager = logits_of(model(random_pixels()))
    model.set_attn_implementation(attention)
    torch.testing.assert_close(logits_of(model(random_pixels())), eager, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_class", MODELS)
@torch.no_grad()
def test_hidden_states_and_attentions_have_every_layer(model_class):
    model = build(model_class)
    model.set_attn_implementation("eager")
    output = model(random_pixels(), output_hidden_states=True, output_attentions=True)
    tokens = 18 if model_class is PEViTForImageClassificationWithTeacher else 17
    assert [state.shape for state in output.hidden_states] == [(2, tokens, 32)] * 3
    assert [weights.shape for weights in output.attentions] == [(2, 2, tokens, tokens)] * 2
    torch.testing.assert_close(output.attentions[0].sum(-1), torch.ones(2, 2, tokens))


@pytest.mark.parametrize("model_class", MODELS)
@torch.no_grad()
def test_saving_and_loading_keeps_the_logits(model_class, tmp_path):
    model = build(model_class, position_encoding="absolute", patch_embedding="nonlinear")
    model.save_pretrained(tmp_path)
    auto_class = AutoModel if model_class is PEViTModel else AutoModelForImageClassification
    reloaded = auto_class.from_pretrained(tmp_path)
    assert type(reloaded) is model_class
    assert torch.equal(logits_of(reloaded(random_pixels())), logits_of(model(random_pixels())))


@torch.no_grad()
def test_a_distilled_checkpoint_serves_the_base_model_and_the_plain_classifier(tmp_path):
    model = build(PEViTForImageClassificationWithTeacher)
    model.save_pretrained(tmp_path)
    base = AutoModel.from_pretrained(tmp_path)
    assert torch.equal(base(random_pixels()).pooler_output, model.pevit(random_pixels()).pooler_output)
    plain = PEViTForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(plain(random_pixels()).logits, model(random_pixels()).cls_logits)


@pytest.mark.parametrize("model_class", MODELS)
def test_bfloat16_trains_and_stays_close(model_class):
    model = build(model_class, distillation_type="none")
    expected = logits_of(model(random_pixels()))
    model = model.to(torch.bfloat16)
    logits = logits_of(model(random_pixels()))  # float32 pixels are cast by the model
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - expected).abs().max() < 0.1 * expected.abs().max()
    logits.float().square().mean().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


@torch.no_grad()
def test_the_graph_has_no_breaks():
    model, pixels = build(drop_path_rate=0.1, patch_drop_rate=0.1).train(), random_pixels()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.manual_seed(0)
    expected = model(pixels).logits
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(pixels).logits, expected)


def test_no_weight_decay_names_exist_and_cover_every_vector():
    model = build(PEViTForImageClassificationWithTeacher, position_encoding="absolute")
    parameters = dict(model.named_parameters())
    exempt = model.no_weight_decay()
    assert exempt <= parameters.keys()
    assert {name for name, parameter in parameters.items() if parameter.ndim == 1} <= exempt
    assert "pevit.embeddings.position_embeddings" in exempt
    assert "pevit.embeddings.distillation_token" not in exempt


# Bad input


@pytest.mark.parametrize(
    ("pixel_values", "message"),
    [
        (None, "`pixel_values` is missing"),
        (torch.zeros(2, 1, 16, 16), r"shape \(batch, 3, height, width\), got \(2, 1, 16, 16\)"),
        (torch.zeros(3, 16, 16), r"got \(3, 16, 16\)"),
        (torch.zeros(2, 3, 16, 18), r"whole patches of 4 pixels, got height and width \(16, 18\)"),
    ],
)
def test_wrong_pixel_values_are_named(pixel_values, message):
    with pytest.raises(ValueError, match=message):
        build()(pixel_values)


def test_wrong_targets_are_named():
    model = build(PEViTForImageClassificationWithTeacher, problem_type="single_label_classification")
    with pytest.raises(ValueError, match=r"must have the shape \(2, 5\), got \(2, 4\)"):
        model(random_pixels(), labels=torch.rand(2, 4))
    with pytest.raises(ValueError, match=r"`teacher_logits` must have the shape \(2, 5\), got \(2, 6\)"):
        model(random_pixels(), labels=LABELS, teacher_logits=torch.rand(2, 6))


# Trainer


class EncryptedImages(torch.utils.data.Dataset):
    """Four images with labels and a teacher's logits."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        pixels = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(index))
        return {"pixel_values": pixels, "labels": index, "teacher_logits": torch.eye(5)[index]}


@pytest.mark.parametrize("model_class", [PEViTForImageClassification, PEViTForImageClassificationWithTeacher])
def test_trainer_trains_and_predicts_logits_alone(model_class, tmp_path):
    model = build(model_class)
    distilled = model_class is PEViTForImageClassificationWithTeacher
    arguments = TrainingArguments(
        tmp_path,
        max_steps=2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=not distilled,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=EncryptedImages())
    assert trainer.train().training_loss > 0
    prediction = trainer.predict(EncryptedImages())
    assert prediction.predictions.shape == (4, 5)
    assert prediction.metrics["test_loss"] > 0


def test_trainer_keeps_its_count_of_label_entries_out_of_the_loss(tmp_path):
    """It would count num_labels entries for every image with soft targets, and divide the loss by them."""
    trainer = Trainer(model=build(), args=TrainingArguments(tmp_path, use_cpu=True, report_to="none"))
    assert not trainer.model_accepts_loss_kwargs
