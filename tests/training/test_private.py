"""Per-sample gradients are exact for every layer of PEViT; pictures count, not rows; a budget is kept."""

import datasets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from opacus import GradSampleModule
from opacus.accountants import PRVAccountant, RDPAccountant

from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEViTForImageClassificationWithTeacher
from hipmr_hf.errors import InputValueError
from hipmr_hf.training.private import (
    OneRowAPicture,
    PrivacyBudget,
    PrivateTraining,
    rows_of_pictures,
)
from hipmr_hf.training.private_terms import refuse_what_voids, scaled_in_private
from hipmr_hf.training.problems import Problem

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


AGES = Problem("regression", ("age",), (51.3,), (11.7,))


def pevit(kind=PEViTForImageClassification, **settings):
    torch.manual_seed(0)
    return kind(PEViTConfig(**SIZE, patch_size=4, image_size=16, num_labels=3, **settings)).train()


def loss_of(model, batch):
    return F.cross_entropy(model(pixel_values=batch["pixel_values"]).logits, batch["labels"])


def records(count, pictures=None):
    generator = torch.Generator().manual_seed(0)
    rows = [
        {
            "pixel_values": torch.randn(3, 16, 16, generator=generator),
            "labels": torch.tensor(number % 3),
        }
        for number in range(count)
    ]
    return OneRowAPicture(rows, pictures or list(np.arange(count)[:, None]))


def private(model, drawn, *, expected_batch_size=8, **budget):
    budget = PrivacyBudget(**{"epsilon": 4.0, "delta": 1e-3, "steps": 6, "accountant": "rdp", **budget})
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return PrivateTraining(model, optimizer, drawn, budget, expected_batch_size=expected_batch_size)


@pytest.mark.parametrize("position_encoding", ["reference", "none", "absolute"])
@pytest.mark.parametrize("patch_embedding", ["linear", "nonlinear", "invariant", "texture"])
@pytest.mark.parametrize("kind", [PEViTForImageClassification, PEViTForImageClassificationWithTeacher])
def test_gradients_of_records_are_those_of_batches_of_one(kind, patch_embedding, position_encoding):
    model = pevit(kind, patch_embedding=patch_embedding, position_encoding=position_encoding)
    model.config.distillation_type = "none"
    model = model.double()
    images, labels = torch.randn(5, 3, 16, 24, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    alone = []
    for image, label in zip(images, labels, strict=True):
        model.zero_grad()
        loss_of(model, {"pixel_values": image[None], "labels": label[None]}).backward()
        alone.append([weight.grad.clone() for weight in model.parameters()])
    model.zero_grad()
    loss_of(GradSampleModule(model), {"pixel_values": images, "labels": labels}).backward()
    for (name, weight), *each in zip(model.named_parameters(), *alone, strict=True):
        torch.testing.assert_close(
            weight.grad_sample, torch.stack(each), rtol=0, atol=1e-12, msg=lambda text, name=name: name + text
        )
        assert weight.grad_sample.abs().max() > 0, name


@pytest.mark.parametrize("problem_type", ["multi_label_classification", "regression"])
def test_gradients_of_lists_of_classes_and_of_numbers_are_exact_too(problem_type):
    scale = {"regression_mean": [50.0, 1.0, 0.0], "regression_std": [20.0, 3.0, 1.0]}
    model = pevit(problem_type=problem_type, **(scale if problem_type == "regression" else {})).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    labels = torch.rand(4, 3, dtype=torch.float64).round()
    alone = []
    for image, label in zip(images, labels, strict=True):
        model.zero_grad()
        model(pixel_values=image[None], labels=label[None]).loss.backward()
        alone.append([weight.grad.clone() for weight in model.parameters()])
    model.zero_grad()
    GradSampleModule(model)(pixel_values=images, labels=labels).loss.backward()
    for weight, *each in zip(model.parameters(), *alone, strict=True):
        torch.testing.assert_close(weight.grad_sample, torch.stack(each), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), [("prv", PRVAccountant), ("rdp", RDPAccountant)])
def test_epsilon_is_the_accountants_for_the_steps_that_were_taken(name, kind):
    training = private(pevit(), records(40), expected_batch_size=10, accountant=name)
    assert training.epsilon == 0
    drawn = [size for _ in range(2) for size in training.steps(loss_of, records_at_once=4)][:6]
    assert len(drawn) == 6 and len(set(drawn)) > 1  # 8 steps were taken: the rest counts too
    accountant = kind()
    for _ in range(8):
        accountant.step(noise_multiplier=training.noise_multiplier, sample_rate=0.25)
    assert training.epsilon == pytest.approx(accountant.get_epsilon(1e-3))


def test_the_budget_holds_for_all_steps_and_noise_is_no_more_than_needed():
    training = private(pevit(), records(40), expected_batch_size=10, steps=4)
    list(training.steps(loss_of, records_at_once=40))
    assert 3.9 < training.epsilon <= 4.0


def test_noise_comes_also_where_nobody_is_drawn():
    model = pevit()
    training = private(model, records(2), expected_batch_size=1, delta=0.1)
    training.loader.batch_sampler.sample_rate = 0.0
    before = [weight.detach().clone() for weight in model.parameters()]
    assert list(training.steps(loss_of, records_at_once=4)) == [0, 0]
    changed = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(changed)


def test_the_same_seed_does_not_give_the_same_noise():
    weights = []
    for _ in range(2):
        model = pevit()
        torch.manual_seed(3)
        list(private(model, records(8)).steps(loss_of, records_at_once=8))
        weights.append(model.classifier.weight.detach().clone())
    assert not torch.equal(*weights)


def test_one_record_moves_the_sum_of_a_step_by_the_clipping_norm_at_most():
    """With every record drawn and no noise, a picture in four rows counts once."""
    sums = []
    for pictures in ([np.array([0, 1, 2, 3]), np.array([4])], [np.array([4])]):
        model = pevit()
        training = private(model, records(5, pictures), expected_batch_size=len(pictures), delta=0.1)
        training.optimizer.noise_multiplier, training.optimizer.expected_batch_size = 0.0, 1
        training.loader.batch_sampler.sample_rate = 1.0
        before = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        list(training.steps(loss_of, records_at_once=8))
        after = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        sums.append((before - after) / 0.1)
    assert 0 < (sums[0] - sums[1]).norm() <= 1.0 + 1e-4


def test_rows_of_one_picture_are_one_record():
    rows = datasets.Dataset.from_dict({"picture": ["b", "a", "b", "b"], "nonce": [b"1", b"2", b"3", b"4"]})
    pictures = rows_of_pictures(rows, "picture")
    assert [found.tolist() for found in pictures] == [[0, 2, 3], [1]]
    drawn = OneRowAPicture(list("0123"), pictures)
    assert {drawn[0] for _ in range(60)} == {"0", "2", "3"} and drawn[1] == "1"


def test_a_training_goes_on_with_what_it_had_spent():
    first = private(pevit(), records(16))
    list(first.steps(loss_of, records_at_once=8))
    model = pevit()
    second = private(model, records(16))
    second.load_state_dict(first.state_dict())
    assert second.epsilon == first.epsilon > 0
    same = zip(first.model._module.parameters(), model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in same)
    list(second.steps(loss_of, records_at_once=8))
    assert second.epsilon > first.epsilon
    with pytest.raises(InputValueError, match=r"another budget .*epsilon 4.0 to 3.0"):
        private(pevit(), records(16), epsilon=3.0).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: private(pevit(), records(8), delta=0.2), "delta: got 0.2, expected less than one in 8"),
        (lambda: private(pevit(), records(8), expected_batch_size=9), "expected_batch_size: got 9"),
        (lambda: PrivacyBudget(0.0, 1e-5), "epsilon: got 0.0"),
        (lambda: PrivacyBudget(1.0, 1.5), "delta: got 1.5"),
        (lambda: PrivacyBudget(1.0, 1e-5, accountant="none"), "accountant: got 'none'"),
        (lambda: PrivacyBudget(1.0, 1e-5, max_grad_norm=0), "max_grad_norm: got 0"),
        (lambda: refuse_what_voids(mixup_alpha=0.8), "--mixup_alpha: got 0.8"),
        (lambda: refuse_what_voids(teacher_logits_column="t"), "--teacher_logits_column: got 't'"),
        (lambda: refuse_what_voids(patch_drop_rate=0.25), "--patch_drop_rate: got 0.25"),
        (lambda: scaled_in_private(AGES, None), "--number_range: it is missing"),
        (lambda: scaled_in_private(AGES, [5, 5]), r"--number_range: got \[5, 5\], expected the lowest"),
        (
            lambda: scaled_in_private(Problem("multi_label_classification", ("a",)), [0, 1]),
            "but the labels are classes",
        ),
        (
            lambda: rows_of_pictures(datasets.Dataset.from_dict({"a": [1]}), "b"),
            "--picture_column: there is no column 'b'; the columns are a",
        ),
        (
            lambda: rows_of_pictures(datasets.Dataset.from_dict({"a": ["x", None]}), "a"),
            "--picture_column: row 1 has no 'a'",
        ),
    ],
)
def test_what_would_void_the_guarantee_is_refused_in_one_line(call, message):
    with pytest.raises(InputValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
