"""Write a checkpoint as an ONNX file, laid out as the Hub and transformers.js expect, once it gives the same.

In: a PEViT or PEYOLOS checkpoint. Out: `onnx/model.onnx` beside its configs and encryption settings, and how
far its answers are from torch's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputValueError, hub_told
from ..layout import CARD_FILE, ONNX_FILES, SETTINGS_FILE

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession
    from transformers import PreTrainedModel

LIMIT = 1e-4
_OUTPUTS = {
    "PEViTForImageClassification": ("logits",),
    "PEViTForImageClassificationWithTeacher": ("logits",),
    "PEYolosForObjectDetection": ("logits", "pred_boxes"),
}
_COPIED = ("config.json", "preprocessor_config.json", SETTINGS_FILE)
_MOST_PATCHES = 4096  # along a side
_TIMED = 5


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an export was found to do.

    Args:
        file: the ONNX file, relative to its folder.
        difference: largest distance of any output from torch's, over all pictures that were tried.
        shapes: of the batches that were tried, (batch, channels, height, width).
        seconds, seconds_torch: for one picture of the first shape, medians of five.
        size: of the ONNX file in bytes.
    """

    file: str
    difference: float
    shapes: tuple[tuple[int, ...], ...]
    seconds: float
    seconds_torch: float
    size: int


def checkpoint_folder(checkpoint: str) -> Path:
    """Return a checkpoint's folder; one of the Hub is fetched.

    Raises:
        MissingFileError: there is no such folder, or no such repository for this token.
        UnreachableError: the Hub cannot be reached.
    """
    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    from huggingface_hub import snapshot_download

    with hub_told(checkpoint):
        files = [*_COPIED, CARD_FILE, "*.safetensors", "*.safetensors.index.json"]
        return Path(snapshot_download(checkpoint, allow_patterns=files))


def export_onnx(checkpoint: Path, folder: Path, *, dtype: str = "fp32") -> ExportReport:
    """Write a checkpoint as ONNX into a folder, and compare it with torch.

    Batch, height and width are dynamic; sides are whole patches. The pictures that are tried are noise,
    encrypted where the checkpoint has settings, in up to three sizes and batches of 1 to 3.

    Args:
        checkpoint: a PEViT classifier, also a distilled one, or a PEYOLOS.
        folder: empty; use `files.whole_folder`, so that nothing is left of a refused export.
        dtype: "fp32", "fp16" (inputs and outputs stay fp32) or "int8" (dynamic quantisation of weights).

    Raises:
        InputValueError: no such model, or an fp32 file that differs from torch by more than 1e-4.
    """
    import shutil

    model = _load(checkpoint)
    outputs = _OUTPUTS[type(model).__name__]
    path = folder / ONNX_FILES[dtype]
    path.parent.mkdir()
    batches = _pictures(checkpoint, model)
    _write(model, outputs, batches[0], path)
    _take_out_remarks(path)
    difference = _difference(model, outputs, batches, path)
    if difference > LIMIT:
        raise InputValueError(
            f"checkpoint: the outputs of {checkpoint} as ONNX differ from torch's by {difference:.1e}, and "
            f"{LIMIT:.0e} is allowed; nothing was written. Please report it, with the config."
        )
    if dtype != "fp32":
        _make_smaller(path, dtype)
        difference = _difference(model, outputs, batches, path)
    for name in (*_COPIED, CARD_FILE):
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)
    return ExportReport(
        file=str(path.relative_to(folder)),
        difference=difference,
        shapes=tuple(batch.shape for batch in batches),
        seconds=_seconds(lambda: _session(path).run, {"pixel_values": batches[0][:1]}),
        seconds_torch=_seconds_torch(model, batches[0][:1]),
        size=path.stat().st_size,
    )


def _load(checkpoint: Path) -> PreTrainedModel:
    import json

    from .. import models

    config = checkpoint / "config.json"
    told = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    name = (told.get("architectures") or ["none"])[0]
    if name not in _OUTPUTS:
        raise InputValueError(
            f"checkpoint: {checkpoint} holds {name}, expected one of {', '.join(_OUTPUTS)}; name a folder or "
            "repository with such a model."
        )
    return getattr(models, name).from_pretrained(checkpoint).float().eval()


@contextlib.contextmanager
def _without_torchs_own_remarks() -> Iterator[None]:
    """Leave out what torch's exporter says of its progress, of its own code, and of torchvision."""

    def is_of_use(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("torchvision is not installed. Skipping")

    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    logger.addFilter(is_of_use)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            old = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
            warnings.filterwarnings("ignore", old, FutureWarning)
            yield
    finally:
        logger.removeFilter(is_of_use)


def _write(model: PreTrainedModel, outputs: tuple[str, ...], pixels: np.ndarray, path: Path) -> None:
    import torch

    class Answers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.model(pixel_values=pixel_values)
            return tuple(found[name] for name in outputs)

    patch = model.config.patch_size
    batch = torch.export.Dim("batch", min=1, max=_MOST_PATCHES)
    rows, columns = (torch.export.Dim(name, min=1, max=_MOST_PATCHES) for name in ("rows", "columns"))
    with torch.no_grad(), _without_torchs_own_remarks():
        torch.onnx.export(
            Answers().eval(),
            kwargs={"pixel_values": torch.from_numpy(pixels)},
            f=str(path),
            dynamo=True,
            external_data=False,
            input_names=["pixel_values"],
            output_names=list(outputs),
            dynamic_shapes={"pixel_values": (batch, torch.export.Dim.STATIC, patch * rows, patch * columns)},
        )


def _take_out_remarks(path: Path) -> None:
    """Leave nothing but the model: torch notes for each step where in this machine's files it stands."""
    import onnx

    model = onnx.load(path)
    for graph in (model.graph, *model.functions):
        for part in (graph, *graph.node, *graph.value_info):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    for part in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def _make_smaller(path: Path, dtype: str) -> None:
    """Write an fp32 file again in fewer bits, in its own place."""
    import onnx

    if dtype == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        full = path.with_suffix(".full")
        path.rename(full)
        # Shapes of the original, with expressions such as 16*rows, are in the way of its own inference.
        model = onnx.load(full)
        del model.graph.value_info[:]
        onnx.save(model, full)
        quantize_dynamic(full, path, weight_type=QuantType.QUInt8, op_types_to_quantize=["MatMul", "Gemm"])
        full.unlink()
        return
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


def _pictures(checkpoint: Path, model: PreTrainedModel) -> list[np.ndarray]:
    """Batches of encrypted noise as the model takes them: float32 (batch, channels, height, width)."""
    import numpy as np
    import PIL.Image

    from ..encryption.base import Encryption

    generator = np.random.default_rng(0)
    patch = model.config.patch_size
    encryption = Encryption.from_pretrained(checkpoint) if (checkpoint / SETTINGS_FILE).is_file() else None
    fixed = None if encryption is None else encryption.encrypted_size
    sizes = [(4 * patch, 6 * patch), (3 * patch, 3 * patch), (2 * patch, 7 * patch)]
    batches = []
    for number, (height, width) in enumerate([fixed, *sizes[1:]] if fixed else sizes):
        pictures = []
        for _ in range((2, 1, 3)[number]):
            if encryption is not None and (fixed is None or number == 0):
                plain = 2 if encryption.strategy == "mi" else 1
                noise = generator.integers(0, 256, (plain * height, plain * width, 3), dtype=np.uint8)
                sealed = np.asarray(encryption(PIL.Image.fromarray(noise)))
            else:  # the settings fix one size; at others the model sees noise in its place
                sealed = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
            pictures.append(sealed.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1)
        batches.append(np.stack(pictures))
    return batches


def _session(path: Path) -> InferenceSession:
    from onnxruntime import InferenceSession

    return InferenceSession(path, providers=["CPUExecutionProvider"])


def _difference(
    model: PreTrainedModel, outputs: tuple[str, ...], batches: list[np.ndarray], path: Path
) -> float:
    import numpy as np
    import torch

    session, worst = _session(path), 0.0
    for pixels in batches:
        with torch.no_grad():
            ours = model(pixel_values=torch.from_numpy(pixels))
        for name, theirs in zip(outputs, session.run(outputs, {"pixel_values": pixels}), strict=True):
            away = float(np.abs(ours[name].numpy() - theirs).max())
            worst = max(worst, away if np.isfinite(away) else float("inf"))
    return worst


def _seconds(start: Any, inputs: dict[str, np.ndarray]) -> float:
    ask = start()
    return _median_time(lambda: ask(None, inputs))


def _seconds_torch(model: PreTrainedModel, pixels: np.ndarray) -> float:
    import torch

    with torch.no_grad():
        return _median_time(lambda: model(pixel_values=torch.from_numpy(pixels)))


def _median_time(work: Any) -> float:
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def add_card_section(folder: Path, report: ExportReport, dtype: str) -> None:
    """Say in a folder's card what its ONNX file is and how a picture is sealed for it."""
    card = folder / CARD_FILE
    text = card.read_text(encoding="utf-8").rstrip() + "\n\n" if card.is_file() else ""
    section = (
        f"## ONNX\n\n`{report.file}` ({dtype}) takes `pixel_values` of any batch, height and width in whole "
        f"patches, from encrypted pictures only. On encrypted noise its outputs were at most "
        f"{report.difference:.1e} away from torch's.\n\n"
        "Seal a picture for it where it lies, with the settings in `encryption_config.json`: "
        "`Encryption.from_pretrained(REPO)(image)` of hipmr_hf, or the same in a web page with its "
        "`hipmr.js`.\n"
    )
    card.write_text(text + section, encoding="utf-8")
