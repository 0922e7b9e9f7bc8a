import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from huggingface_hub.errors import StrictDataclassError

from hipmr_hf import PEViTConfig, PEViTForImageClassification, RandomShuffling
from hipmr_hf.errors import InputValueError
from hipmr_hf.training.augmentation import EncryptedAugmentation
from hipmr_hf.training.classification import build_pevit, build_vit_baseline, classification_loss
from hipmr_hf.training.labels import as_targets
from hipmr_hf.training.problems import Problem, problem_of

CLASSES = ClassLabel(names=["cat", "dog"])
SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SHUFFLING = RandomShuffling(image_size=32, patch_size=8)


def rows(values: list, feature=None) -> Dataset:
    features = None if feature is None else Features({"image": Value("int64"), "label": feature})
    return Dataset.from_dict({"image": list(range(len(values))), "label": values}, features=features)


@pytest.mark.parametrize(
    ("values", "feature", "asked", "expected", "names", "targets"),
    [
        ([1, 0], CLASSES, None, SINGLE, ("cat", "dog"), [1, 0]),
        (["b", "a"], None, None, SINGLE, ("a", "b"), [1, 0]),
        ([[1], []], List(CLASSES), None, MULTI, ("cat", "dog"), [[0, 1], [0, 0]]),
        ([["b", "a"], ["c"]], None, None, MULTI, ("a", "b", "c"), [[1, 1, 0], [0, 0, 1]]),
        ([[7], [3, 7]], None, None, MULTI, ("3", "7"), [[0, 1], [1, 1]]),
        ([[0.0, 1.0], [1.0, 1.0]], None, MULTI, MULTI, ("0", "1"), [[0, 1], [1, 1]]),
        ([0.5, 2.5], None, None, REGRESSION, ("label",), [[0.5], [2.5]]),
        ([3, 5], None, REGRESSION, REGRESSION, ("label",), [[3], [5]]),
        ([[0.5, 1.0], [2.5, 1.0]], None, None, REGRESSION, ("label_0", "label_1"), [[0.5, 1], [2.5, 1]]),
    ],
)
def test_labels_say_what_is_learned(values, feature, asked, expected, names, targets):
    train, test = as_targets([rows(values, feature), rows(values[:1], feature)], "label", asked)
    problem = problem_of(train, "label")
    assert (problem.problem_type, problem.names) == (expected, names)
    assert problem.targets(train["label"][:]).tolist() == targets
    assert problem.targets(test["label"][:]).tolist() == targets[:1]


def test_of_numbers_mean_and_spread_are_known_and_a_constant_has_none():
    problem = problem_of(rows([[1.0, 4.0], [3.0, 4.0]]), "label")
    assert problem.settings()["regression_mean"] == [2.0, 4.0]
    assert problem.settings()["regression_std"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "feature", "asked", "message"),
    [
        ([0.5, 1.5], None, SINGLE, "'label' is of type .*expected one class a picture"),
        ([1, 0], CLASSES, MULTI, "for multi_label_classification it has to be a list for each picture"),
        (["a", "b"], None, REGRESSION, "for regression it has to be a number for each picture"),
        ([[0.5], [1.0]], None, MULTI, "are not 0 and 1"),
        ([[1.0, 2.0], [1.0]], None, None, "holds lists of 1, 2 numbers"),
        ([0.5, None], None, None, "1 of 2 rows have no label"),
        ([0.5, float("nan")], None, None, "1 of 2 rows have no label"),
        ([["a"], None], None, None, "1 of 2 rows have no label"),
        ([0.5], None, "multi", "--problem_type: got 'multi', expected one of 'single_label"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(values, feature, asked, message):
    with pytest.raises(InputValueError, match=message) as error:
        as_targets([rows(values, feature)], "label", asked)
    assert "\n" not in str(error.value)


def test_a_teacher_goes_with_one_class_a_picture():
    with pytest.raises(InputValueError, match=r"--teacher_logits_column: .*one class a picture"):
        problem_of(rows([[1], [0]], List(CLASSES)), "label", with_teacher=True)
    with pytest.raises(
        InputValueError, match=r"'label' is .*, expected classes, lists of classes, or numbers"
    ):
        problem_of(rows(["a"], Value("string")), "label")


def test_numbers_of_any_unit_are_learned_alike():
    """A head for kilometres and one for millimetres of the same start make the same loss and gradients."""
    found = []
    for unit in (1.0, 1e6):
        torch.manual_seed(0)
        problem = Problem(REGRESSION, ("a", "b"), (2 * unit, 5 * unit), (unit, 0.5 * unit))
        model, _ = build_pevit(SHUFFLING, **SMALL, **problem.settings())
        inputs = {"pixel_values": torch.ones(2, 3, 32, 32), "labels": torch.ones(2, 2) * unit}
        loss, outputs = classification_loss(model, inputs, REGRESSION)
        loss.backward()
        found.append((loss.detach(), model.classifier.weight.grad, outputs.logits.detach() / unit))
        assert outputs.logits.dtype == torch.float32
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)
    torch.testing.assert_close(found[0][2].mean(0), torch.tensor([2.0, 5.0]), atol=1.0, rtol=0)


def test_the_loss_of_several_classes_is_a_question_for_each():
    torch.manual_seed(0)
    model, _ = build_pevit(SHUFFLING, **SMALL, **Problem(MULTI, ("a", "b", "c")).settings())
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    loss, outputs = classification_loss(
        model, {"pixel_values": torch.rand(2, 3, 32, 32), "labels": labels}, MULTI
    )
    torch.testing.assert_close(
        loss, torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits, labels)
    )


def test_a_checkpoint_keeps_the_scale_that_its_head_was_trained_for(tmp_path):
    first = Problem(REGRESSION, ("age",), (50.0,), (10.0,))
    model, processor = build_pevit(SHUFFLING, **SMALL, **first.settings())
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, _ = build_pevit(
        SHUFFLING,
        checkpoint=str(tmp_path),
        **Problem(REGRESSION, ("age",), (20.0,), (3.0,)).settings(),
    )
    assert (again.config.regression_mean, again.classifier.mean) == ([50.0], [50.0])
    other, _ = build_pevit(
        SHUFFLING,
        checkpoint=str(tmp_path),
        **Problem(REGRESSION, ("weight",), (20.0,), (3.0,)).settings(),
    )
    assert (other.config.regression_mean, other.config.id2label) == ([20.0], {0: "weight"})


def test_scales_that_do_not_fit_are_named():
    with pytest.raises(StrictDataclassError, match="`regression_mean` and `regression_std` belong together"):
        PEViTConfig(regression_mean=[1.0])
    with pytest.raises(StrictDataclassError, match="`regression_std` must be above 0"):
        PEViTConfig(regression_mean=[1.0], regression_std=[0.0])
    config = PEViTConfig(
        **SMALL, num_labels=2, problem_type=REGRESSION, regression_mean=[1.0], regression_std=[1.0]
    )
    with pytest.raises(ValueError, match="`regression_mean` must have a number for each of the 2 labels"):
        PEViTForImageClassification(config)
    with pytest.raises(InputValueError, match="baseline: 'vit' learns classes alone"):
        build_vit_baseline((32, 32), 8, problem_type=REGRESSION)


def test_labels_of_several_classes_are_smoothed_towards_a_half_and_numbers_not_at_all():
    labels = torch.tensor([[1.0, 0.0]])
    batch = {"pixel_values": torch.zeros(1, 3, 8, 8), "labels": labels}
    smoothed = EncryptedAugmentation(num_labels=2, label_smoothing=0.2, problem_type=MULTI)(batch)["labels"]
    torch.testing.assert_close(smoothed, torch.tensor([[0.9, 0.1]]))
    with pytest.raises(InputValueError, match=r"label_smoothing: got 0\.2, but numbers cannot be smoothed"):
        EncryptedAugmentation(num_labels=2, label_smoothing=0.2, problem_type=REGRESSION)
    mixed = EncryptedAugmentation(num_labels=2, mixup_alpha=0.8, problem_type=REGRESSION)(
        {"pixel_values": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([[1.0], [3.0]])}
    )
    assert mixed["labels"].sum() == pytest.approx(4.0)
