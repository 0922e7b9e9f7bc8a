"""PEViT beside transformers' ViT, and PEYOLOS beside transformers' YOLOS, at equal tokens and width.

    python benchmarks/speed/run_all.py --only models

Random weights and pixels, size tiny. On a processor: one thread, processor time. Where torch sees a GPU it
runs there, in wall time. Peak memory is what a fresh process needs beyond its weights for one forward and
backward pass.
"""

import functools
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification, YolosConfig, YolosForObjectDetection

from benchmarks.harness.memory import megabytes, memory_row, told_by_fresh_process
from benchmarks.harness.timing import Row, interleaved, row
from hipmr_hf.models import PEViTConfig, PEViTForImageClassification, PEYolosConfig, PEYolosForObjectDetection

SIZE, LABELS, LAYERS = 224, 100, 12
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WIDTHS = {"hidden_size": 192, "num_hidden_layers": LAYERS, "num_attention_heads": 3, "intermediate_size": 768}


def vit(attention: str = "sdpa", layers: int = LAYERS) -> nn.Module:
    config = ViTConfig(**{**WIDTHS, "num_hidden_layers": layers}, num_labels=LABELS, image_size=SIZE)
    config._attn_implementation = attention
    return ViTForImageClassification(config)


def pevit(attention: str = "sdpa", layers: int = LAYERS, position_encoding: str = "reference") -> nn.Module:
    config = PEViTConfig(
        **{**WIDTHS, "num_hidden_layers": layers}, num_labels=LABELS, position_encoding=position_encoding
    )
    config._attn_implementation = attention
    return PEViTForImageClassification(config)


def yolos(layers: int = LAYERS) -> nn.Module:
    widths = {**WIDTHS, "num_hidden_layers": layers}
    return YolosForObjectDetection(
        YolosConfig(**widths, num_labels=LABELS, image_size=[SIZE, SIZE], use_mid_position_embeddings=False)
    )


def peyolos(layers: int = LAYERS) -> nn.Module:
    half = [SIZE // 2, SIZE // 2]  # mixed patches are half as wide, so the tokens are as many
    config = PEYolosConfig(
        **{**WIDTHS, "num_hidden_layers": layers},
        num_labels=LABELS,
        image_size=half,
        patch_size=8,
        use_mid_position_embeddings=False,
    )
    return PEYolosForObjectDetection(config)


PEVIT_WITHOUT = functools.partial(pevit, position_encoding="none")
REASONS = {
    "PEViT": "timed apart, the reference-based positional encoding takes 0.4 of 34 ms an image (forward)",
    "torch.compile": "matrix products, which it leaves to the same library, are .62 of an eager forward and "
    "backward pass (torch.profiler); what it can join is the rest",
    "PEYOLOS": "timed apart, its embeddings take 0.6 of 73 ms an image, no more than those of YOLOS, and the "
    "layers are as large; rounds differ by more than the gap where other work runs beside them",
}
# What is built, the (height, width) of its input, what it is compared with, and the aim.
CLASSIFIERS = {
    "ViT": (vit, (SIZE, SIZE), None, None),
    "ViT, eager": (functools.partial(vit, "eager"), (SIZE, SIZE), "ViT", None),
    "PEViT": (pevit, (SIZE, SIZE), "ViT", 0.97),
    "PEViT, eager": (functools.partial(pevit, "eager"), (SIZE, SIZE), "PEViT", None),
    "PEViT without RPE": (PEVIT_WITHOUT, (SIZE, SIZE), "ViT", None),
    "PEViT, half of the patches": (pevit, (SIZE // 2, SIZE), "ViT", 1.8),
}
DETECTORS = {
    "YOLOS": (yolos, (SIZE, SIZE), None, None),
    "PEYOLOS": (peyolos, (SIZE // 2, SIZE // 2), "YOLOS", 0.97),
}


def forward(model: nn.Module, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        model(pixel_values=pixels)


def forward_and_backward(model: nn.Module, pixels: torch.Tensor) -> None:
    """Without a loss of its own, so that classifiers and detectors are alike: the sum of the logits."""
    model.zero_grad()
    model(pixel_values=pixels).logits.float().sum().backward()


def in_bfloat16(step, model: nn.Module, pixels: torch.Tensor) -> None:
    with torch.autocast(DEVICE, torch.bfloat16):
        step(model, pixels)


PASSES = {"forward": forward, "forward and backward": forward_and_backward}


def measure(quick: bool) -> list[Row]:
    """Time both kinds of model, then bfloat16, torch.compile and memory."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sizes = {"layers": 1 if quick else LAYERS, "batch": 1 if quick else 8, "repeats": 1 if quick else 7}
    rows = []
    for step in PASSES:
        for models in (CLASSIFIERS, DETECTORS):
            rows += time_models(models, step, **sizes)
    # One image at a time: a processor without bfloat16 takes fifteen times as long as for float32.
    rows += time_bfloat16(**{**sizes, "batch": 1, "repeats": 3})
    if not quick:
        rows += [*time_compiled(**sizes), *peak_rows()]
    return rows


def prepared(models: dict, layers: int, batch: int) -> dict:
    built = {}
    for name, (build, (height, width), _, _) in models.items():
        pixels = torch.rand(batch, 3, height, width, device=DEVICE)
        built[name] = (build(layers=layers).to(DEVICE).eval(), pixels)
    return built


def waiting(function, *args):
    """Return a call that ends when the device has done its work."""

    def call() -> None:
        function(*args)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return call


def timed(functions: dict, repeats: int) -> dict:
    clock = time.perf_counter if DEVICE == "cuda" else time.process_time
    return interleaved(functions, repeats=repeats, clock=clock)


def time_models(models: dict, step: str, *, layers: int, batch: int, repeats: int) -> list[Row]:
    built = prepared(models, layers, batch)
    seconds = timed({name: waiting(PASSES[step], *both) for name, both in built.items()}, repeats)
    rows = []
    for name, (_, _, other, aim) in models.items():
        against = None if other is None else (f"{other}, {step}", seconds[other])
        options = {"amount": batch, "unit": "images/s", "against": against, "aim": aim}
        rows.append(row(f"{name}, {step}", seconds[name], **options, reason=reason(name, seconds)))
    return rows


def reason(name: str, seconds: dict[str, list[float]]) -> str | None:
    """Say why a model is slower; of PEViT also how fast it is without its encoding, when it is a ViT."""
    if name != "PEViT":
        return REASONS.get(name)
    bare = np.median(np.divide(seconds["ViT"], seconds["PEViT without RPE"]))
    return f"{REASONS[name]}; without it PEViT does what ViT does, and was at {bare:.2f} in the same rounds"


def time_bfloat16(*, layers: int, batch: int, repeats: int) -> list[Row]:
    built = prepared({name: CLASSIFIERS[name] for name in ("ViT", "PEViT")}, layers, batch)
    step = "forward and backward"
    functions = {"PEViT in float32": waiting(PASSES[step], *built["PEViT"])}
    for name, both in built.items():
        functions[name] = waiting(in_bfloat16, PASSES[step], *both)
    seconds = timed(functions, repeats)
    options = {"amount": batch, "unit": "images/s"}
    return [
        row(f"PEViT in bfloat16, {step}", seconds["PEViT"], **options, against=(against, seconds[other]))
        for against, other in (("ViT in bfloat16", "ViT"), ("PEViT in float32", "PEViT in float32"))
    ]


def time_compiled(*, layers: int, batch: int, repeats: int) -> list[Row]:
    """Compile PEViT once; a machine without a C++ compiler gets a line that says so."""
    names = ("PEViT", "PEViT, eager")
    built = prepared({name: CLASSIFIERS[name] for name in names}, layers, batch)
    (model, pixels), (eager, _) = (built[name] for name in names)
    compiled, rows = torch.compile(model), []
    for step, call in PASSES.items():
        start = time.process_time()
        try:
            call(compiled, pixels)
        except Exception as error:  # the compiler's own errors have no common class
            return [{"what": "PEViT, torch.compile", "skipped": f"it failed ({type(error).__name__})"}]
        taken = time.process_time() - start
        models = {"eager": eager, "sdpa": model, "compiled": compiled}
        seconds = timed({name: waiting(call, each, pixels) for name, each in models.items()}, repeats)
        options = {
            "amount": batch,
            "unit": "images/s",
            "against": (f"PEViT, eager, {step}", seconds["eager"]),
        }
        rows.append(row(f"PEViT, sdpa, {step}", seconds["sdpa"], **options, aim=1.0))
        what = f"PEViT, torch.compile ({taken:.0f} s in this process to compile), {step}"
        rows.append(row(what, seconds["compiled"], **options, aim=1.0, reason=REASONS["torch.compile"]))
    return rows


def peak_rows() -> list[Row]:
    """Peak memory of forward and backward, each model in a process of its own."""
    models = {**CLASSIFIERS, **DETECTORS}
    peaks = {name: told_by_fresh_process(peak, name) for name in models}
    rows = []
    for name, (_, _, other, _) in models.items():
        against = None if other is None else (f"{other}, peak memory", peaks[other])
        rows.append(memory_row(f"{name}, peak memory of a batch of 8", peaks[name], against))
    return rows


def peak(name: str) -> float:
    """Return the megabytes that one forward and backward pass needs here; Linux resets its own peak."""
    torch.set_num_threads(1)
    ((model, pixels),) = prepared({name: {**CLASSIFIERS, **DETECTORS}[name]}, LAYERS, 8).values()
    forward(model, pixels[:1])  # libraries take their own memory at the first call
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        forward_and_backward(model, pixels)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    Path("/proc/self/clear_refs").write_text("5")
    before = megabytes("VmRSS")
    forward_and_backward(model, pixels)
    return megabytes("VmHWM") - before
