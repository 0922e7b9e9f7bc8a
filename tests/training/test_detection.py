import os
import subprocess
import sys

import detection_step
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from transformers import EvalPrediction, TrainingArguments

from hipmr_hf import MixingUp
from hipmr_hf.models import PEYolosImageProcessorPil
from hipmr_hf.training.detection import (
    DetectionCollator,
    DetectionEvaluation,
    DetectionTrainer,
)
from hipmr_hf.training.detection_augmentation import DetectionAugmentation
from hipmr_hf.training.detectors import build_peyolos
from hipmr_hf.training.digit_scenes import digit_scenes

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


# The loss over processes and accumulated batches


@pytest.fixture(scope="module")
def one_process() -> dict[str, torch.Tensor]:
    return detection_step.model_gradients(rank=0, num_processes=1)


def assert_same(ours: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(8, 1), (2, 4)])
def test_accumulated_batches_give_the_gradient_of_one_large_batch(
    one_process, tmp_path, batch_size, accumulation
):
    step = detection_step.trainer_step(tmp_path, batch_size, accumulation)
    assert_same(step, one_process)
    assert step["evaluated"] == 8


def test_two_processes_give_the_gradient_of_one_and_evaluate_every_image_once(one_process, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*command, detection_step.__file__, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert_same(load_file(tmp_path / "model.safetensors"), one_process)
    by_trainer = load_file(tmp_path / "trainer.safetensors")
    assert_same(by_trainer, one_process)
    assert by_trainer["evaluated"] == 8  # batches of 3 on two processes do not go into 8


# Groups of parameters


def test_new_parameters_learn_ten_times_as_fast_and_only_matrices_decay(tmp_path):
    model, _ = build_peyolos(MixingUp(patch_size=8), (16, 24), **TINY)
    arguments = TrainingArguments(
        str(tmp_path), learning_rate=1e-3, weight_decay=0.1, use_cpu=True, report_to="none"
    )
    trainer = DetectionTrainer(model, arguments)
    optimizer = trainer.create_optimizer()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found.keys() == set(names.values())
    for name, (rate, decay) in found.items():
        assert rate == pytest.approx(1e-2 if "patch_embeddings" in name else 1e-3), name
        matrix = model.get_parameter(name).ndim > 1 and "token" not in name and "position" not in name
        assert decay == (0.1 if matrix else 0.0), name
    assert sum(len(group["params"]) for group in trainer.create_optimizer().param_groups) == len(names)


# Batches


def test_a_cropped_image_trains_though_the_encryption_makes_no_such_size():
    processor = PEYolosImageProcessorPil(patch_size=8, encrypted_size=(16, 24))
    row = {"image": Image.new("RGB", (24, 16)), "objects": {"bbox": [], "category": []}, "image_id": 0}
    cropping = DetectionAugmentation(8, crop=1.0, smallest_crop=0.1, random=np.random.default_rng(0))
    shapes = {tuple(DetectionCollator(processor, cropping)([row])["pixel_values"].shape) for _ in range(9)}
    assert len(shapes) > 1
    with pytest.raises(ValueError, match="every encrypted image of this model is 16x24"):
        DetectionCollator(processor)([{**row, "image": Image.new("RGB", (24, 8))}])


def test_a_batch_holds_images_of_several_sizes_with_their_boxes():
    rows = [
        {
            "image": Image.new("RGB", (24, 16)),
            "objects": {"bbox": [[0, 0, 12, 8]], "category": [1]},
            "image_id": 5,
        },
        {"image": Image.new("L", (8, 8)), "objects": {"bbox": [], "category": []}, "image_id": 6},
    ]
    batch = DetectionCollator(PEYolosImageProcessorPil(patch_size=8))(rows)
    assert batch["pixel_values"].shape == (2, 3, 16, 24)
    assert batch["labels"][0]["boxes"].tolist() == [[0.25, 0.25, 0.5, 0.5]]
    assert [label["image_id"].item() for label in batch["labels"]] == [5, 6]


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 6), columns=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_augmented_boxes_follow_their_pixels_and_commute_with_mixing_up(seed, rows, columns):
    random = np.random.default_rng(seed)
    mixing = MixingUp(patch_size=4)
    top, left = int(random.integers(rows)), int(random.integers(columns))
    plain = random.integers(0, 100, (4 * rows, 4 * columns, 3), dtype=np.uint8)
    plain[4 * top : 4 * top + 4, 4 * left : 4 * left + 4] = 255
    box = {"bbox": [[2 * left, 2 * top, 2, 2]], "category": [7], "area": [4.0]}
    augment = DetectionAugmentation(2, vertical_flip=0.5, random=np.random.default_rng(seed))
    pixels, objects = augment(mixing(plain), box, augment.draw_shares())
    same = DetectionAugmentation(4, vertical_flip=0.5, random=np.random.default_rng(seed))
    plain_box = {"bbox": [[4 * left, 4 * top, 4, 4]], "category": [7], "area": [16.0]}
    np.testing.assert_array_equal(mixing(same(plain, plain_box, same.draw_shares())[0]), pixels)
    lit = np.argwhere((pixels == 255).all(axis=2))
    assert len(objects["bbox"]) == len(objects["category"]) == bool(len(lit))
    for x, y, width, height in objects["bbox"]:
        assert (lit.min(axis=0).tolist(), lit.max(axis=0).tolist()) == (
            [y, x],
            [y + height - 1, x + width - 1],
        )


@pytest.mark.parametrize(
    "wrong", [{"flip": 2}, {"crop": -1}, {"vertical_flip": 3}, {"smallest_crop": 0}, {"brightness": -1}]
)
def test_wrong_augmentation_settings_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: got"):
        DetectionAugmentation(4, **wrong)


# Evaluation


def prediction_for(objects: list[dict], order: list[int], size=(16, 24)) -> EvalPrediction:
    """Perfect detections of one object an image, in the order that processes might give them."""
    logits = np.full((len(order), 2, 4), -9.0, dtype=np.float32)
    boxes = np.full((len(order), 2, 4), 0.5, dtype=np.float32)
    logits[:, 1, 3] = 9
    for place, index in enumerate(order):
        x, y, width, height = objects[index]["bbox"][0]
        logits[place, 0, objects[index]["category"][0]] = 9
        boxes[place, 0] = [
            (x + width / 2) / size[1],
            (y + height / 2) / size[0],
            width / size[1],
            height / size[0],
        ]
    ids = np.array([[index, *size] for index in order])
    return EvalPrediction(predictions=(logits, boxes), label_ids=ids)


def test_evaluation_puts_images_in_order_and_counts_repeated_ones_once():
    objects = [{"bbox": [[i, i, 4 + i, 5]], "category": [i % 3], "area": [(4 + i) * 5.0]} for i in range(4)]
    evaluate = DetectionEvaluation(PEYolosImageProcessorPil(), objects, ["a", "b", "c"], pixel_scale=2)
    result = evaluate(prediction_for(objects, [2, 0, 3, 1, 2]))
    assert (result["map"], result["map_b"], result["images"]) == (1.0, 1.0, 4)


def test_a_lost_image_stops_the_evaluation():
    objects = [{"bbox": [[0, 0, 4, 5]], "category": [0]}] * 3
    evaluate = DetectionEvaluation(PEYolosImageProcessorPil(), objects, ["a", "b", "c"])
    with pytest.raises(RuntimeError, match="1 of 3 images were not evaluated, such as 1"):
        evaluate(prediction_for(objects, [0, 2]))


def test_objects_are_sized_in_the_plain_images_pixels():
    objects = [{"bbox": [[0, 0, 20, 20]], "category": [0], "area": [400.0]}]
    scaled = DetectionEvaluation(PEYolosImageProcessorPil(), objects, ["a"] * 1, pixel_scale=2)
    prediction = prediction_for([{**objects[0]}], [0], size=(40, 40))
    prediction.predictions = (prediction.predictions[0][:, :, [0, 3]], prediction.predictions[1])
    assert (scaled(prediction)["map_small"], scaled(prediction)["map_medium"]) == (-1, 1)  # 40 x 40 pixels


# Scenes


def test_scenes_are_the_same_for_the_same_seed_and_boxes_hold_the_digits():
    first, again, other = (digit_scenes(6, seed=seed) for seed in (1, 1, 2))
    assert first.to_dict() == again.to_dict() and first.to_dict() != other.to_dict()
    for row in first:
        pixels = np.asarray(row["image"]).max(axis=2)
        outside = np.ones(pixels.shape, dtype=bool)
        for x, y, width, height in (map(int, box) for box in row["objects"]["bbox"]):
            assert pixels[y : y + height, x : x + width].max() > 140
            outside[y : y + height, x : x + width] = False
        assert pixels[outside].max() < 140


def test_some_scenes_are_empty_and_no_digit_overlaps_another():
    scenes = digit_scenes(40, seed=0, size=(48, 64), digit_sizes=(12, 24), max_digits=3)
    numbers = [len(objects["bbox"]) for objects in scenes["objects"]]
    assert min(numbers) == 0 and max(numbers) == 3
    for objects in scenes["objects"]:
        for i, (x, y, width, height) in enumerate(objects["bbox"]):
            for left, top, w, h in objects["bbox"][:i]:
                assert x >= left + w or left >= x + width or y >= top + h or top >= y + height


@pytest.mark.parametrize(
    ("wrong", "name"), [({"split": "dev"}, "split"), ({"digit_sizes": (20, 99)}, "digit_sizes")]
)
def test_wrong_scene_arguments_are_named(wrong, name):
    with pytest.raises(ValueError, match=f"{name}: got"):
        digit_scenes(1, seed=0, **wrong)
