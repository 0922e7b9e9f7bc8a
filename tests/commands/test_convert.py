import pytest
import torch
from command_helpers import only_error, run
from transformers import (
    AutoImageProcessor,
    AutoModelForObjectDetection,
    YolosConfig,
    YolosForObjectDetection,
)

from hipmr_hf.models import PEYolosForObjectDetection, PEYolosImageProcessorPil


def published_detector() -> dict[str, torch.Tensor]:
    """Under the published program's names, as few tensors as tell a detector for 2 x 3 patches."""
    shapes = {"det_token": (1, 3, 8), "pos_embed": (1, 1 + 6 + 3, 8), "cls_token": (1, 1, 8)}
    shapes |= {"patch_embed.proj_siat.weight": (8, 3, 4, 4), "blocks.0.attn.qkv.weight": (24, 8)}
    shapes |= {"blocks.0.mlp.fc1.weight": (32, 8)}
    state_dict = {f"backbone.{name}": torch.ones(shape) for name, shape in shapes.items()}
    return state_dict | {"class_embed.layers.2.bias": torch.ones(6), "mask": torch.ones(1)}


def test_a_published_detector_is_converted(tmp_path, capsys):
    torch.save({"model": published_detector()}, tmp_path / "detector.pth")
    command = ("convert", tmp_path / "detector.pth", "--architecture", "peyolos", "--num-heads", 2)
    assert run(*command, "--image-size", 8, 12, "--output-dir", tmp_path / "out") == 0
    assert "taken: 7\ndropped: 1\n    mask\nnew: " in capsys.readouterr().out
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert type(model) is PEYolosForObjectDetection
    assert (model.config.position_grid, model.config.num_labels) == ((2, 3), 5)
    assert torch.equal(model.peyolos.embeddings.detection_tokens, torch.ones(1, 3, 8))
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    assert type(processor) is PEYolosImageProcessorPil and processor.patch_size == 4
    assert list(processor.image_mean) == [0.485, 0.456, 0.406]


def test_a_yolos_becomes_a_detector_with_its_heads(tmp_path, capsys):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = YolosConfig(**sizes, image_size=[32, 48], patch_size=16, num_detection_tokens=5, num_labels=3)
    yolos = YolosForObjectDetection(config)
    yolos.save_pretrained(tmp_path / "yolos")
    command = ("convert", tmp_path / "yolos", "--architecture", "peyolos", "--output-dir", tmp_path / "out")
    assert run(*command, "--image-size", 16, 24) == 0
    assert "new: 4\n    peyolos.embeddings.patch_embeddings." in capsys.readouterr().out
    model = AutoModelForObjectDetection.from_pretrained(tmp_path / "out")
    assert type(model) is PEYolosForObjectDetection and model.config.position_grid == (2, 3)
    for ours, theirs in zip(
        model.bbox_predictor.parameters(), yolos.bbox_predictor.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-heads", "2"), "--image-size: got none, but a detector's position grid needs"),
        (("--image-size", "8", "12"), "--num-heads: a state dict cannot tell it, got None"),
        (("--num-heads", "2", "--image-size", "8", "16"), "`image_size` must have 6 patches of 4 pixels"),
        (("--num-heads", "3", "--image-size", "8", "12"), "`hidden_size` must be a multiple"),
        (
            ("--position-encoding", "none"),
            "--position-encoding: got none, but a detector always has positions",
        ),
    ],
)
def test_what_a_published_detector_lacks_is_told(options, message, tmp_path, capsys):
    torch.save(published_detector(), tmp_path / "detector.pth")
    command = ("convert", tmp_path / "detector.pth", "--architecture", "peyolos", *options)
    assert run(*command, "--output-dir", tmp_path / "out") == 2
    assert message in only_error(capsys)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("architecture", "options", "flag"),
    [
        ("pevit", ("--image-size", "16"), "--image-size"),
        ("peyolos", ("--image-size", "16", "24", "--num-heads", "2"), "--num-heads"),
    ],
)
def test_what_the_config_of_a_checkpoint_tells_is_refused(architecture, options, flag, tmp_path, capsys):
    command = ("convert", "a/checkpoint", "--architecture", architecture, *options)
    assert run(*command, "--output-dir", tmp_path / "out") == 2
    assert f"{flag}: a checkpoint of transformers tells it in its config" in only_error(capsys)
