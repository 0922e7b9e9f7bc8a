import shutil

import pytest
import torch
from datasets import DatasetDict
from example_helpers import TINY_MODEL, results
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForObjectDetection, YolosForObjectDetection, pipeline

from hipmr_hf import Encryption, MixingUp, PEYolosForObjectDetection, encrypt_dataset, save_encrypted_dataset
from hipmr_hf.digit_scenes import digit_scenes

SCRIPT = "run_object_detection.py"
MIXING = MixingUp(patch_size=8)
TWO_STEPS = "--do_train --do_eval --max_steps 2 --report_to none --save_strategy no --num_detection_tokens 9"
TWO_STEPS = [*TWO_STEPS.split(), "--per_device_train_batch_size", "3", "--per_device_eval_batch_size", "2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Plain and mixed-up scenes; 11 for evaluation, which no two processes can share evenly."""
    root = tmp_path_factory.mktemp("scenes")
    size = {"size": (48, 64), "digit_sizes": (12, 24)}
    scenes = DatasetDict(
        train=digit_scenes(12, seed=0, **size), test=digit_scenes(11, seed=1, split="test", **size)
    )
    for split, rows in scenes.items():
        rows.to_parquet(root / "plain" / "data" / f"{split}-00000-of-00001.parquet")
    save_encrypted_dataset(encrypt_dataset(scenes, MIXING), MIXING, root / "mi")
    return root


def test_two_processes_train_and_evaluate_every_image(launch, folders, tmp_path):
    launch(
        SCRIPT,
        *("--dataset_name", folders / "mi", "--plain_dataset", folders / "plain", "--output_dir", tmp_path),
        *("--gradient_accumulation_steps", "2", "--use_mid_position_embeddings", "true"),
        *TWO_STEPS,
        *TINY_MODEL,
        num_processes=2,
    )
    scores = results(tmp_path)
    assert (scores["world_size"], scores["eval_images"]) == (2, 11)
    assert 0 <= scores["eval_map"] <= scores["eval_map_50"] <= 1 and "eval_map_7" in scores
    assert Encryption.from_pretrained(tmp_path) == MIXING
    assert Image.open(tmp_path / "detections.png").size[0] > 4 * 60
    model = AutoModelForObjectDetection.from_pretrained(tmp_path)
    assert isinstance(model, PEYolosForObjectDetection) and model.config.position_grid == (6, 8)
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == 4
    plain = digit_scenes(1, seed=3, size=(48, 64), digit_sizes=(12, 24))[0]["image"]
    detector = pipeline("object-detection", model=str(tmp_path), device="cpu")
    assert len(detector(Encryption.from_pretrained(tmp_path)(plain), threshold=0.0)) == 9


def test_the_baseline_trains_on_plain_images_and_a_checkpoint_goes_on(example, folders, tmp_path):
    options = ["--use_cpu", "--disable_tqdm", "true", "--draw", "1", *TWO_STEPS]
    data = ["--dataset_name", str(folders / "mi"), "--plain_dataset", str(folders / "plain")]

    def run(output: str, *arguments: str) -> dict:
        module = example(SCRIPT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "sys.argv", [SCRIPT, *data, "--output_dir", str(tmp_path / output), *options, *arguments]
            )
            return module.main()

    baseline = run("yolos", "--baseline", "yolos", *TINY_MODEL)
    assert baseline["eval_images"] == 11
    yolos = YolosForObjectDetection.from_pretrained(tmp_path / "yolos")
    assert yolos.vit.embeddings.detection_tokens.std() > 0.01  # not the zeros that YOLOS starts with
    assert yolos.config.image_size == [48, 64] and yolos.config.patch_size == 8
    # the detector takes over the baseline's weights; its patch embedding alone is new
    first = run("peyolos", "--model_name_or_path", str(tmp_path / "yolos"), "--learning_rate", "0")
    assert first["eval_images"] == 11
    peyolos = PEYolosForObjectDetection.from_pretrained(tmp_path / "peyolos")
    torch.testing.assert_close(peyolos.bbox_predictor.layers[0].weight, yolos.bbox_predictor.layers[0].weight)
    shutil.rmtree(tmp_path / "yolos")
