import argparse
import os

import pytest
import torch
from safetensors.torch import save_file

from hipmr_hf.models import PEViTForImageClassification, PEViTForImageClassificationWithTeacher
from hipmr_hf.models.convert_official import (
    convert_pevit_state_dict,
    infer_pevit_config,
    load_state_dict,
    rename_pevit_weights,
)

WIDTH, DEPTH, CLASSES, PATCH = 8, 2, 5, 4


def published_state_dict(**extra: torch.Tensor) -> dict[str, torch.Tensor]:
    """Random tensors under the published program's names."""
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "reference": (1, 1, WIDTH),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": (WIDTH,)}
    linears = {"head": (CLASSES, WIDTH), "ref_encoding.0": (WIDTH, WIDTH), "ref_encoding.2": (WIDTH, WIDTH)}
    for index in range(DEPTH):
        block = f"blocks.{index}"
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (WIDTH,), f"{block}.{norm}.bias": (WIDTH,)}
        linears |= {f"{block}.attn.qkv": (3 * WIDTH, WIDTH), f"{block}.attn.proj": (WIDTH, WIDTH)}
        linears |= {f"{block}.mlp.fc1": (2 * WIDTH, WIDTH), f"{block}.mlp.fc2": (WIDTH, 2 * WIDTH)}
    for name, (rows, columns) in linears.items():
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()} | extra


def distilled_state_dict() -> dict[str, torch.Tensor]:
    head = {"head_dist.weight": torch.randn(CLASSES, WIDTH), "head_dist.bias": torch.randn(CLASSES)}
    return published_state_dict(dist_token=torch.randn(1, 1, WIDTH), **head)


def test_every_tensor_is_taken_and_none_is_new():
    model, report = convert_pevit_state_dict(published_state_dict(), num_attention_heads=2)
    assert type(model) is PEViTForImageClassification
    assert (len(report.taken), report.dropped, report.new) == (len(published_state_dict()), (), ())


def test_sizes_are_inferred():
    config = infer_pevit_config(published_state_dict(), num_attention_heads=2)
    found = (config.hidden_size, config.num_hidden_layers, config.num_labels, config.patch_size)
    assert found == (WIDTH, DEPTH, CLASSES, PATCH)
    assert (config.intermediate_size, config.position_encoding, config.qkv_bias) == (16, "reference", True)


def test_a_distilled_checkpoint_gets_both_heads():
    model, report = convert_pevit_state_dict(distilled_state_dict(), num_attention_heads=2)
    assert type(model) is PEViTForImageClassificationWithTeacher
    assert (report.dropped, report.new) == ((), ())


def test_qkv_is_split_in_order():
    renamed, _ = rename_pevit_weights({"blocks.1.attn.qkv.bias": torch.arange(6)})
    prefix = "pevit.layers.1.attention"
    assert {name: tensor.tolist() for name, tensor in renamed.items()} == {
        f"{prefix}.q_proj.bias": [0, 1],
        f"{prefix}.k_proj.bias": [2, 3],
        f"{prefix}.v_proj.bias": [4, 5],
    }


def test_absolute_positions_set_the_grid():
    state_dict = published_state_dict(pos_embed=torch.randn(1, 1 + 9, WIDTH))
    for name in [name for name in state_dict if name.startswith("ref")]:
        del state_dict[name]
    model, report = convert_pevit_state_dict(state_dict, num_attention_heads=2)
    assert (model.config.position_encoding, model.config.position_grid) == ("absolute", (3, 3))
    assert not report.dropped
    state_dict["pos_embed"] = torch.randn(1, 1 + 6, WIDTH)
    with pytest.raises(ValueError, match=r"position_embeddings has the shape \(1, 7, 8\)"):
        convert_pevit_state_dict(state_dict, num_attention_heads=2)
    model, _ = convert_pevit_state_dict(state_dict, num_attention_heads=2, image_size=(2 * PATCH, 3 * PATCH))
    assert model.config.position_grid == (2, 3)


def test_the_report_names_what_was_dropped_and_what_is_new():
    state_dict = published_state_dict(mask_token=torch.zeros(1), pos_embed=torch.zeros(1, 5, WIDTH))
    del state_dict["head.weight"], state_dict["head.bias"]
    _, report = convert_pevit_state_dict(state_dict, num_attention_heads=2, num_labels=3)
    assert set(report.dropped) == {"mask_token", "pos_embed"}
    assert set(report.new) == {"classifier.weight", "classifier.bias"}
    assert "2 dropped: mask_token, pos_embed" in str(report)


def test_another_state_dict_is_refused():
    with pytest.raises(ValueError, match="no PEViT of the published program: cls_token"):
        infer_pevit_config({"weight": torch.zeros(1)}, num_attention_heads=2)


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_pickled_checkpoints_load_as_weights(tmp_path, wrapper):
    weights = {f"module.{name}": tensor for name, tensor in published_state_dict().items()}
    content = {wrapper: weights, "args": argparse.Namespace(lr=0.1), "epoch": 3} if wrapper else weights
    torch.save(content, tmp_path / "checkpoint.pth")
    loaded = load_state_dict(tmp_path / "checkpoint.pth")
    assert loaded.keys() == published_state_dict().keys()


def test_safetensors_load(tmp_path):
    save_file(published_state_dict(), tmp_path / "model.safetensors")
    assert load_state_dict(tmp_path / "model.safetensors").keys() == published_state_dict().keys()


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["MALICIOUS_TARGET"],)


def test_code_in_a_pickle_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MALICIOUS_TARGET", str(tmp_path / "ran"))
    torch.save({"model": published_state_dict(), "extra": Malicious()}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="cannot be read as weights alone"):
        load_state_dict(tmp_path / "checkpoint.pth")
    assert not (tmp_path / "ran").exists()


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth is no file"):
        load_state_dict(tmp_path / "absent.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        load_state_dict(tmp_path / "list.pth")
