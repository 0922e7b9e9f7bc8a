"""PEViT on whatever accelerator torch finds: images a second, the share of its peak, and ways to be faster.

    python benchmarks/speed/run_all.py --only accelerator

Forward and backward in bfloat16, wall time: eager, sdpa, flash (where `flash_attn` is installed) and
torch.compile beside transformers' ViT with sdpa; and the symmetries of whole batches. Where there is no
accelerator it prints so, and makes no line.
"""

import importlib.util
import time
from collections.abc import Callable

import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from benchmarks.harness.timing import Row, interleaved, quartiles, row
from hipmr_hf.models import PEViTConfig, PEViTForImageClassification
from hipmr_hf.training.augmentation import turn_patches

NONE = "no accelerator here"
SIZE, LABELS = 224, 1000
WIDTHS = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
# Dense bfloat16 operations a second that makers give, in 10^12, by a part of the device's name.
PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "A10G": 70.0, "4090": 165.0}


def device() -> torch.device | None:
    """Return the accelerator that torch would use; None where there is none."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return None if found is None or found.type == "cpu" else found


def operations(batch: int, tokens: int = (SIZE // 16) ** 2 + 1) -> float:
    """Count the operations of a forward and backward pass: three times those of the forward."""
    width, inner, layers = WIDTHS["hidden_size"], WIDTHS["intermediate_size"], WIDTHS["num_hidden_layers"]
    of_layer = 2 * tokens * (4 * width * width + 2 * width * inner) + 4 * tokens * tokens * width
    return 3.0 * batch * (layers * of_layer + 2 * (tokens - 1) * width * 3 * 16 * 16)


def models(layers: int) -> dict[str, nn.Module]:
    """Build what is compared, by name."""
    widths = {**WIDTHS, "num_hidden_layers": layers}
    config = ViTConfig(**widths, num_labels=LABELS, image_size=SIZE)
    config._attn_implementation = "sdpa"
    built: dict[str, nn.Module] = {"ViT, sdpa": ViTForImageClassification(config)}
    attentions = ["eager", "sdpa"]
    if importlib.util.find_spec("flash_attn") is not None:
        attentions.append("flash_attention_2")
    for attention in attentions:
        config = PEViTConfig(**widths, num_labels=LABELS)
        config._attn_implementation = attention
        built[f"PEViT, {attention}"] = PEViTForImageClassification(config)
    return built


def step(model: nn.Module, pixels: torch.Tensor, place: torch.device) -> Callable[[], None]:
    """Return a forward and backward pass in bfloat16, which ends when the device has done it."""

    def call() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast(place.type, torch.bfloat16):
            logits = model(pixel_values=pixels).logits
        logits.float().sum().backward()
        wait(place)

    return call


def wait(place: torch.device) -> None:
    """Return when the device has done its work."""
    if place.type != "cpu":
        torch.accelerator.synchronize()


def steps(place: torch.device, *, layers: int, batch: int) -> dict[str, Callable[[], None]]:
    """Return a pass of every model, and of PEViT with sdpa when it is compiled."""
    pixels = torch.rand(batch, 3, SIZE, SIZE, device=place)
    built = {name: model.to(place).train() for name, model in models(layers).items()}
    found = {name: step(model, pixels, place) for name, model in built.items()}
    found["symmetries"] = turned(pixels, place)
    compiled = step(torch.compile(built["PEViT, sdpa"]), pixels, place)
    try:
        compiled()
    except Exception as error:  # the compiler's own errors have no common class
        print(f"torch.compile failed here ({type(error).__name__}), and is left out")
    else:
        found["PEViT, torch.compile"] = compiled
    return found


def turned(pixels: torch.Tensor, place: torch.device) -> Callable[[], None]:
    """Return what turns every patch of a batch by a random symmetry, as training augments."""
    symmetries = torch.randint(8, (len(pixels),), device=place)

    def call() -> None:
        turn_patches(pixels, symmetries, patch_size=16)
        wait(place)

    return call


def measure(quick: bool) -> list[Row]:
    """Time all of it, or say that there is nothing to time it on."""
    place = device()
    if place is None:
        print(NONE)
        return [{"what": "PEViT on an accelerator", "skipped": NONE}]
    layers, batch, repeats = (1, 4, 1) if quick else (WIDTHS["num_hidden_layers"], 256, 20)
    seconds = interleaved(steps(place, layers=layers, batch=batch), repeats=repeats, clock=time.perf_counter)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
    return table_rows(seconds, name, batch)


def table_rows(seconds: dict[str, list[float]], name: str, batch: int) -> list[Row]:
    """Make the lines: each model beside what it is compared with, and its share of the device's peak."""
    options = {"amount": batch, "unit": "images/s"}
    others = {"PEViT, eager": ("ViT, sdpa", None), "PEViT, sdpa": ("PEViT, eager", 1.0)}
    others["PEViT, torch.compile"] = ("PEViT, eager", 1.0)
    others["PEViT, flash_attention_2"] = ("PEViT, sdpa", None)
    rows = []
    for model, taken in seconds.items():
        other, aim = others.get(model, (None, None))
        against = None if other is None else (other, seconds[other])
        done = "patches turned" if model == "symmetries" else "forward and backward, bfloat16"
        what = f"{model}, {done}, on {name}"
        rows.append(row(what, taken, **options, against=against, aim=aim))
    peak = next((value for part, value in PEAKS.items() if part in name), None)
    if peak is not None:
        for model in ("ViT, sdpa", "PEViT, sdpa", "PEViT, torch.compile"):
            if model in seconds:
                share = [operations(batch) / taken / (peak * 1e12) for taken in seconds[model]]
                unit = f"of {peak:g} TFLOP/s"
                rows.append({"what": f"{model}, share of peak", "unit": unit, "rate": quartiles(share)})
    return rows
