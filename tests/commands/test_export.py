"""`hipmr export` as a user types it, with real onnxruntime."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from client_helpers import find_node, skip_loudly
from command_helpers import files_in, run
from PIL import Image

pytest.importorskip("onnxscript", reason='needs the extra "export"')
onnxruntime = pytest.importorskip("onnxruntime", reason='needs the extra "export"')

from hipmr_hf import Encryption, MixingUp, RandomShuffling  # noqa: E402
from hipmr_hf.hub import onnx_export  # noqa: E402
from hipmr_hf.leaks.guard import find_leaks  # noqa: E402
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
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "patch_size": 8,
    "initializer_range": 0.2,
}
TESTS = Path(__file__).resolve().parent.parent
TRANSFORMERS_JS = TESTS / "transformers_js"
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
    "texture": (lambda: classifier(patch_embedding="texture"), SHUFFLING),
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


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, Path, str]:
    """A checkpoint, its export, which several tests look at, and what the command told on stderr."""
    root = tmp_path_factory.mktemp("linear")
    checkpoint = saved("linear", root / "model")
    command = [sys.executable, "-c", "import hipmr_hf.cli as cli; cli.main()"]
    command += ["export", str(checkpoint), "--output-dir", str(root / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0 and "largest difference from torch" in done.stdout, done.stderr
    return checkpoint, root / "out", done.stderr


@pytest.fixture(scope="module")
def linear(exported) -> tuple[Path, Path]:
    return exported[:2]


@pytest.fixture
def written(linear, monkeypatch) -> Path:
    """The checkpoint; what torch would write of it again is taken from its export."""
    file = linear[1] / "onnx" / "model.onnx"
    monkeypatch.setattr(onnx_export, "_write", lambda model, outputs, pixels, path: shutil.copy(file, path))
    return linear[0]


@pytest.mark.parametrize("name", MODELS)
def test_an_export_gives_what_torch_gives_at_any_size(name, tmp_path, capsys, request):
    if name == "linear":
        checkpoint, out = request.getfixturevalue("linear")
    else:
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
    if name == "detector" and (TRANSFORMERS_JS / "node_modules").exists():
        told = transformers_js(out, "fp32", pixels)
        for output in ("logits", "pred_boxes"):
            theirs = torch.tensor(told[output]).reshape(ours[output].shape)
            torch.testing.assert_close(theirs, ours[output], atol=1e-4, rtol=0)


def test_torchs_remarks_on_itself_are_not_shown(exported):
    """A bar for the weights, and what our own settings give away; both are meant to be read."""
    wanted = ("Loading weights", "hide next to nothing")
    lines = [line for line in re.split(r"[\r\n]+", exported[2]) if line]
    assert [line for line in lines if not any(word in line for word in wanted)] == []


@pytest.mark.parametrize(("dtype", "file"), [("fp16", "model_fp16.onnx"), ("int8", "model_quantized.onnx")])
def test_fewer_bits_are_near(dtype, file, written, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    report = onnx_export.export_onnx(written, folder, dtype=dtype)
    assert report.file == f"onnx/{file}" and 0 < report.difference < 0.1
    assert files_in(folder / "onnx") == [file]
    if (TRANSFORMERS_JS / "node_modules").exists():
        pixels = encrypted_pixels(written)
        with torch.no_grad():
            ours = onnx_export._load(written)(pixel_values=pixels).logits
        theirs = transformers_js(folder, {"int8": "q8"}.get(dtype, dtype), pixels)["logits"]
        torch.testing.assert_close(torch.tensor(theirs).reshape(ours.shape), ours, atol=0.1, rtol=0)


def test_a_file_that_differs_is_refused_and_nothing_stays(written, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(onnx_export, "LIMIT", -1.0)
    assert run("export", written, "--output-dir", tmp_path / "out") == 2
    assert "differ from torch's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def test_a_checkpoint_of_the_hub_is_exported_and_the_export_pushed(written, hub, tmp_path, capsys):
    from huggingface_hub import HfApi, snapshot_download

    HfApi().create_repo("owner/pevit")
    HfApi().upload_folder(repo_id="owner/pevit", folder_path=written)
    out = tmp_path / "out"
    assert run("export", "owner/pevit", "--output-dir", out, "--push-to-hub", "owner/pevit-onnx") == 0
    assert "pushed: " in capsys.readouterr().out
    pulled = Path(snapshot_download("owner/pevit-onnx"))
    for name in files_in(out):
        assert (pulled / name).read_bytes() == (out / name).read_bytes(), name
    assert b".py" not in (out / "onnx" / "model.onnx").read_bytes(), "torch's notes of local files"
    assert "onnx/model.onnx" in files_in(out) and Encryption.from_pretrained("owner/pevit-onnx") == SHUFFLING


def test_an_export_that_tells_of_local_files_is_not_pushed(linear, tmp_path):
    folder = shutil.copytree(linear[1], tmp_path / "out")
    assert find_leaks(folder).leaks == ()
    with (folder / "onnx" / "model.onnx").open("ab") as file:
        file.write(b"/home/jane/ward.py")
    (folder / "onnx" / "other.onnx").touch()
    told = [str(leak) for leak in find_leaks(folder).leaks]
    assert len(told) == 2 and "path of a local file system" in told[0] and "nobody expects" in told[1]


# What others read


def encrypted_pixels(checkpoint: Path) -> torch.Tensor:
    """A picture as the model takes it: drawn, encrypted, and through its processor."""
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    sealed = Encryption.from_pretrained(checkpoint)(picture)
    processor = PEViTImageProcessorPil.from_pretrained(checkpoint)
    return processor(sealed, return_tensors="pt")["pixel_values"]


def transformers_js(folder: Path, dtype: str, pixels: torch.Tensor) -> dict:
    """What transformers.js answers in node."""
    asked = json.dumps({"data": pixels.flatten().tolist(), "dims": list(pixels.shape)})
    command = [find_node(), str(TRANSFORMERS_JS / "logits.mjs"), str(folder), dtype]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_transformers_js_gives_torchs_logits_without_the_network(linear, record_property):
    if not (TRANSFORMERS_JS / "node_modules").exists():
        skip_loudly(
            "transformers.js is not installed, so exports were NOT tried with it; "
            "`npm --prefix tests/transformers_js install --ignore-scripts` takes 474 MB"
        )
    checkpoint, out = linear
    pixels = encrypted_pixels(checkpoint)
    with torch.no_grad():
        ours = onnx_export._load(checkpoint)(pixel_values=pixels).logits
    told = transformers_js(out, "fp32", pixels)
    assert told["model_type"] == "pevit" and told["dims"] == list(ours.shape)
    theirs = torch.tensor(told["logits"]).reshape(ours.shape)
    record_property("figure", f"transformers.js: {(theirs - ours).abs().max():.1e} away from torch's logits")
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_tritons_configuration_names_what_the_export_has(linear):
    page = (TESTS.parent / "docs" / "client.md").read_text()
    config = re.search(r"^```\n(name: \"pevit\".*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    told = {
        kind: (name, data_type, dims.split(", "))
        for kind, name, data_type, dims in re.findall(
            r'(input|output) \{ name: "(\w+)" data_type: (\w+) dims: \[ (.*?) \]', config
        )
    }
    session = onnxruntime.InferenceSession(linear[1] / "onnx" / "model.onnx")
    for kind, (theirs,) in (("input", session.get_inputs()), ("output", session.get_outputs())):
        name, data_type, dims = told[kind]
        assert name == theirs.name and data_type == "TYPE_FP32" and theirs.type == "tensor(float)"
        # The batch is not told, where max_batch_size is; what is dynamic is -1, and labels are 10 there.
        sides = [side if isinstance(side, int) else -1 for side in theirs.shape[1:]]
        assert [int(side) for side in dims] == (sides if kind == "input" else [10])
        assert len(dims) == len(sides)
