"""`hipmr export` as a user types it, with real onnxruntime."""

import pytest
import torch
from command_helpers import files_in, only_error, run

pytest.importorskip("onnxscript", reason='needs the extra "export"')
onnxruntime = pytest.importorskip("onnxruntime", reason='needs the extra "export"')

from hipmr_hf import Encryption, MixingUp, RandomShuffling  # noqa: E402
from hipmr_hf.hub import onnx_export  # noqa: E402
from hipmr_hf.models import (  # noqa: E402
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTImageProcessorPil,
    PEYolosConfig,
    PEYolosForObjectDetection,
)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "patch_size": 8,
    "initializer_range": 0.2,
}
MIXING, SHUFFLING = MixingUp(patch_size=16), RandomShuffling(image_size=32, patch_size=8)


def classifier(kind=PEViTForImageClassification, **overrides):
    return kind(PEViTConfig(**{**SIZES, "num_labels": 3, **overrides}))


def detector():
    fitting = {"image_size": (32, 48), "num_detection_tokens": 6, "num_labels": 3}
    return PEYolosForObjectDetection(PEYolosConfig(**SIZES, **fitting))


MODELS = {
    "linear": (classifier, SHUFFLING),
    "nonlinear": (lambda: classifier(patch_embedding="nonlinear"), SHUFFLING),
    "invariant": (lambda: classifier(patch_embedding="invariant"), SHUFFLING),
    "absolute": (lambda: classifier(position_encoding="absolute", image_size=(32, 48)), MIXING),
    "distilled": (lambda: classifier(PEViTForImageClassificationWithTeacher), SHUFFLING),
    "detector": (detector, MIXING),
}


def saved(name, folder):
    torch.manual_seed(0)
    build, encryption = MODELS[name]
    build().save_pretrained(folder)
    PEViTImageProcessorPil(patch_size=8).save_pretrained(folder)
    encryption.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_an_export_gives_what_torch_gives_at_any_size(name, tmp_path, capsys):
    checkpoint, out = saved(name, tmp_path / "model"), tmp_path / "out"
    assert run("export", checkpoint, "--output-dir", out) == 0
    assert "largest difference from torch" in capsys.readouterr().out
    copied = ["README.md", "config.json", "encryption_config.json"]
    assert files_in(out) == [*copied, "onnx/model.onnx", "preprocessor_config.json"]
    assert Encryption.from_pretrained(out) == MODELS[name][1]
    assert "## ONNX" in (out / "README.md").read_text()
    model = onnx_export._load(checkpoint)
    session = onnxruntime.InferenceSession(out / "onnx" / "model.onnx")
    for shape in ((5, 3, 16, 40), (1, 3, 64, 24)):
        pixels = torch.rand(shape) * 2 - 1
        with torch.no_grad():
            ours = model(pixel_values=pixels)
        for output in session.get_outputs():
            theirs = torch.from_numpy(session.run([output.name], {"pixel_values": pixels.numpy()})[0])
            torch.testing.assert_close(theirs, ours[output.name], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("dtype", "file"), [("fp16", "model_fp16.onnx"), ("int8", "model_quantized.onnx")])
def test_fewer_bits_are_near(dtype, file, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    report = onnx_export.export_onnx(saved("linear", tmp_path / "model"), folder, dtype=dtype)
    assert report.file == f"onnx/{file}" and 0 < report.difference < 0.1
    assert files_in(folder / "onnx") == [file]


def test_a_file_that_differs_is_refused_and_nothing_stays(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(onnx_export, "LIMIT", -1.0)
    checkpoint = saved("linear", tmp_path / "model")
    capsys.readouterr()
    assert run("export", checkpoint, "--output-dir", tmp_path / "out") == 2
    assert "differ from torch's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["model"]


def test_another_model_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    assert run("export", tmp_path / "model", "--output-dir", tmp_path / "out") == 2
    assert "holds none, expected one of PEViTForImageClassification" in only_error(capsys)
