import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_helpers import run
from datasets import Dataset, DatasetDict
from example_helpers import EXAMPLES, TINY_MODEL, results
from hub_server import HubServer
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoImageProcessor,
    AutoModelForObjectDetection,
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    YolosForObjectDetection,
    pipeline,
)
from without_the_package import assert_answers_alike

from hipmr_hf import (
    Encryption,
    MixingUp,
    PEYolosForObjectDetection,
    Sides,
    encrypt_dataset,
    save_encrypted_dataset,
)
from hipmr_hf.training.digit_scenes import digit_scenes

SCRIPT = "run_object_detection.py"
MIXING = MixingUp(patch_size=8)
TWO_STEPS = "--do_train --do_eval --max_steps 2 --report_to none --save_strategy no --num_detection_tokens 9"
TWO_STEPS = [*TWO_STEPS.split(), "--per_device_train_batch_size", "3", "--per_device_eval_batch_size", "2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Plain scenes, and files of them with boxes, which the command mixed up; 11 for evaluation, which no two
    processes can share evenly."""
    root = tmp_path_factory.mktemp("scenes")
    size = {"size": (48, 64), "digit_sizes": (12, 24)}
    scenes = DatasetDict(
        train=digit_scenes(12, seed=0, **size), test=digit_scenes(11, seed=1, split="test", **size)
    )
    for split, rows in scenes.items():
        rows.to_parquet(root / "plain" / "data" / f"{split}-00000-of-00001.parquet")
        write_coco(rows, root / "coco", split)
    command = ["encrypt", root / "coco", "--output-dir", root / "mi", "--strategy", "mi", "--patch-size", 8]
    assert run(*command) == 0
    return root


def write_coco(rows: Dataset, root: Path, split: str) -> None:
    """Pictures as files, and one of all their boxes."""
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for number, row in enumerate(rows):
        row["image"].save(root / split / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        pairs = zip(row["objects"]["category"], row["objects"]["bbox"], strict=True)
        annotations += [{"image_id": number, "category_id": kind, "bbox": box} for kind, box in pairs]
    categories = [{"id": digit, "name": str(digit)} for digit in range(10)]
    told = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(told))


def test_files_train_in_two_processes_and_the_checkpoint_answers_without_the_package(
    launch, folders, tmp_path
):
    launch(
        SCRIPT,
        *("--dataset_name", folders / "mi", "--output_dir", tmp_path),
        *("--gradient_accumulation_steps", "2", "--use_mid_position_embeddings", "true"),
        *TWO_STEPS,
        *TINY_MODEL,
        num_processes=2,
    )
    scores = results(tmp_path)
    assert (scores["world_size"], scores["eval_images"]) == (2, 11)
    assert 0 <= scores["eval_map"] <= scores["eval_map_50"] <= 1 and "eval_map_7" in scores
    assert Encryption.from_pretrained(tmp_path) == MIXING
    assert Image.open(tmp_path / "detections.png").size == (4 * 7 * 64 + 3 * 6, 7 * 48)  # columns, enlarged
    model = AutoModelForObjectDetection.from_pretrained(tmp_path)
    assert isinstance(model, PEYolosForObjectDetection) and model.config.position_grid == (6, 8)
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == 4
    plain = digit_scenes(1, seed=3, size=(48, 64), digit_sizes=(12, 24))[0]["image"]
    detector = pipeline("object-detection", model=str(tmp_path), device="cpu")
    assert len(detector(Encryption.from_pretrained(tmp_path)(plain), threshold=0.0)) == 9
    assert_answers_alike({tmp_path: AutoModelForObjectDetection}, plain, tmp_path / "home")


def test_gradient_checkpointing_trains_the_same_detector(example, folders, tmp_path):
    data = ["--dataset_name", str(folders / "mi"), "--use_cpu", "--disable_tqdm", "true", "--draw", "0"]
    for name in ("false", "true"):
        options = ["--output_dir", str(tmp_path / name), "--gradient_checkpointing", name]
        example(SCRIPT).main([*data, *options, *TWO_STEPS, *TINY_MODEL])
    usual, checkpointed = (load_file(tmp_path / name / "model.safetensors") for name in ("false", "true"))
    assert usual.keys() == checkpointed.keys()
    for name, weight in usual.items():
        torch.testing.assert_close(checkpointed[name], weight)


def test_the_owner_trains_a_plain_baseline_that_a_detector_can_start_from(example, folders, tmp_path, caplog):
    """And draws what the detector finds on plain pictures, which the builder cannot."""
    options = ["--use_cpu", "--disable_tqdm", "true", *TWO_STEPS]
    data = ["--dataset_name", str(folders / "plain"), "--encrypted_dataset", str(folders / "mi")]
    plain = example("owner/train_plain_yolos.py")
    baseline = plain.main([*data, "--output_dir", str(tmp_path / "yolos"), *options, *TINY_MODEL])
    assert baseline["eval_images"] == 11
    yolos = YolosForObjectDetection.from_pretrained(tmp_path / "yolos")
    assert yolos.vit.embeddings.detection_tokens.std() > 0.01  # not the zeros that YOLOS starts with
    assert yolos.config.image_size == [48, 64] and yolos.config.patch_size == 8
    # the detector takes over the baseline's weights; its patch embedding alone is new
    data = ["--dataset_name", str(folders / "mi"), "--output_dir", str(tmp_path / "peyolos"), "--draw", "0"]
    start = ["--model_name_or_path", str(tmp_path / "yolos"), "--learning_rate", "0"]
    start += ["--patch_embedding", "invariant"]
    first = example(SCRIPT).main([*data, *options, *start])
    assert first["eval_images"] == 11 and not (tmp_path / "peyolos" / "detections.png").exists()
    peyolos = PEYolosForObjectDetection.from_pretrained(tmp_path / "peyolos")
    assert peyolos.config.patch_embedding == "invariant"
    torch.testing.assert_close(peyolos.bbox_predictor.layers[0].weight, yolos.bbox_predictor.layers[0].weight)

    drawing = ["--dataset_name", str(folders / "plain"), "--checkpoint", str(tmp_path / "peyolos")]
    drawing += ["--output", str(tmp_path / "drawn.png"), "--num_images", "2", "--threshold", "0"]
    picture = Image.open(example("owner/draw_detections.py").main(drawing))
    assert picture.size == (2 * 7 * 64 + 6, 2 * 7 * 48 + 6)  # two columns of an encrypted and a plain picture
    assert "may be plain" not in caplog.text


@pytest.mark.slow
def test_the_papers_recipe_runs_in_two_processes_on_real_photographs(launch, shared, tmp_path):
    """The same file as for COCO, from a distilled DeiT; only the size of things is overridden."""
    photographs = Dataset.from_parquet(str(shared / "data" / "coco128_free_train.parquet"))
    photographs = photographs.select_columns(["image", "objects"]).take(10)
    splits = DatasetDict(train=photographs.take(6), validation=photographs.skip(6))
    mixing = MixingUp(image_size=Sides(160, 266))
    save_encrypted_dataset(encrypt_dataset(splits, mixing), mixing, tmp_path / "mi")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    DeiTForImageClassificationWithTeacher(DeiTConfig(**sizes)).save_pretrained(tmp_path / "deit")
    launch(
        SCRIPT,
        *(EXAMPLES / "recipes" / "coco_peyolos_small_mi.yaml", "--dataset_name", tmp_path / "mi"),
        *("--model_name_or_path", tmp_path / "deit", "--output_dir", tmp_path / "out", "--max_steps", "2"),
        *("--bf16", "false", "--dataloader_num_workers", "0", "--save_strategy", "no"),
        num_processes=2,
    )
    scores = results(tmp_path / "out")
    assert (scores["world_size"], scores["eval_images"]) == (2, 4)
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert model.config.num_labels == 80 and model.peyolos.mid_position_embeddings is not None
    assert 10 in model.config.position_grid or max(model.config.position_grid) <= 16


def test_a_push_brings_our_card_and_no_picture(folders, tmp_path):
    """Nor what Trainer keeps for itself: `detections.png` shows single images."""
    with HubServer(tmp_path / "hub") as hub:
        command = [sys.executable, str(EXAMPLES / SCRIPT), "--dataset_name", str(folders / "mi")]
        command += ["--output_dir", str(tmp_path / "out")]
        command += ["--push_to_hub", "--hub_model_id", "owner/peyolos", "--hub_token", "hf_owner"]
        command += ["--use_cpu", "--disable_tqdm", "true", "--draw", "1", *TWO_STEPS, *TINY_MODEL]
        environment = {**hub.environment("hf_owner", tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-6000:]
        assert f"Published: {hub.url}/owner/peyolos" in done.stdout
        files = hub.files("models", "owner/peyolos")
        assert hub.unknown == []

    assert (tmp_path / "out" / "detections.png").exists() and "detections.png" not in files
    assert (tmp_path / "out" / "training_args.bin").exists() and "training_args.bin" not in files
    assert {"model.safetensors", "encryption_config.json", "modeling_peyolos.py"} <= files.keys()
    for name, content in files.items():
        assert str(tmp_path).encode() not in content and b"hf_owner" not in content, name
    card = ModelCard(files["README.md"].decode())
    told = {result.metric_name: result.metric_value for result in card.data.eval_results}
    measured = results(tmp_path / "out")
    assert told["map"] == measured["eval_map"] and min(told.values()) >= 0
    assert measured["eval_map_large"] == -1 and "map_large" not in told  # there are no large objects
    assert card.data.pipeline_tag == "object-detection" and "AutoModelForObjectDetection" in card.text
    assert "What this does not protect" in card.text and "Measured on 11 encrypted images" in card.text
    assert "run_object_detection.py --dataset_name LOCAL" in card.text
