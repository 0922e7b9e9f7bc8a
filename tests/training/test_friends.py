"""What docs/builder.md says of peft, torch.compile, gradient checkpointing and 8-bit optimisers, run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainingArguments

from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEYolosConfig,
    PEYolosForObjectDetection,
)

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}
PIXELS = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0])


def pevit():
    torch.manual_seed(0)
    return PEViTForImageClassification(PEViTConfig(**SIZES, num_labels=3))


def peyolos():
    torch.manual_seed(0)
    return PEYolosForObjectDetection(
        PEYolosConfig(**SIZES, image_size=[32, 32], num_labels=3, num_detection_tokens=5)
    )


@pytest.mark.parametrize(
    ("build", "heads"),
    [(pevit, ["classifier"]), (peyolos, ["class_labels_classifier", "bbox_predictor"])],
    ids=["PEViT", "PEYOLOS"],
)
def test_lora_trains_little_and_is_stored_apart(build, heads, tmp_path):
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=heads)
    model = peft.get_peft_model(build(), lora)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained and all("lora_" in name or any(head in name for head in heads) for name in trained)
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    before = model(pixel_values=PIXELS).logits
    for _ in range(3):
        model(pixel_values=PIXELS).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    after = model(pixel_values=PIXELS).logits
    assert not torch.allclose(before, after)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(build(), tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(pixel_values=PIXELS).logits, after)
        merged = loaded.merge_and_unload()
        torch.testing.assert_close(merged(PIXELS).logits, after, atol=1e-5, rtol=1e-5)


@pytest.fixture
def nothing_compiled():
    """By other tests of this process: after eight kinds of one function it is left uncompiled."""
    torch.compiler.reset()


@pytest.mark.usefixtures("nothing_compiled")
@pytest.mark.parametrize("build", [pevit, peyolos], ids=["PEViT", "PEYOLOS"])
def test_compiled_it_gives_the_same_outputs(build):
    model = build().eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)  # all but the C compiler's part
    with torch.no_grad():
        outputs, eager = compiled(PIXELS), model(PIXELS)
    assert outputs.keys() == eager.keys()
    for name in ("logits", "pred_boxes") if build is peyolos else ("logits",):
        torch.testing.assert_close(outputs[name], eager[name], atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("nothing_compiled")
def test_a_detector_learns_the_same_by_one_graph_and_a_loss_outside_of_it():
    graphs = []

    def counted(graph, inputs):
        graphs.append(graph)
        return graph.forward

    eager, model = peyolos(), peyolos()
    labels = [{"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.4, 0.2, 0.3]])}]
    for one in (eager, torch.compile(model, backend=counted)):
        one(PIXELS[:1], labels=labels).loss.backward()
    assert len(graphs) == 1
    for (name, weight), twin in zip(eager.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(twin.grad, weight.grad, atol=1e-5, rtol=1e-4, msg=name)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(LABELS)

    def __getitem__(self, index):
        return {"pixel_values": PIXELS[index], "labels": LABELS[index]}


def trained(folder, *, resume=None, **settings) -> Trainer:
    arguments = {"max_steps": 2, "per_device_train_batch_size": 4, "report_to": "none", "save_strategy": "no"}
    arguments |= {"learning_rate": 1e-2, "use_cpu": True, **settings}
    trainer = Trainer(pevit(), TrainingArguments(folder, **arguments), train_dataset=Rows())
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def furthest(one: Trainer, other: Trainer) -> float:
    """How far the weights of two models are apart at most."""
    weights = other.model.state_dict()
    return max(float((value - weights[name]).abs().max()) for name, value in one.model.state_dict().items())


def test_gradient_checkpointing_trains_the_same_weights(tmp_path):
    assert furthest(trained(tmp_path), trained(tmp_path, gradient_checkpointing=True)) < 1e-6


def run_with_torchao(test: str) -> None:
    """Run a test in a process that finds torchao, which `make test` keeps away from all others."""
    apart = Path(sys.prefix) / "torchao"
    if not apart.exists():
        pytest.skip(f"needs torchao, which `make test` puts into {apart.name} of the environment")
    paths = os.pathsep.join([str(apart), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-3000:]


def test_an_optimiser_of_eight_bits_trains_alike_and_goes_on_after_a_stop(tmp_path):
    if importlib.util.find_spec("torchao") is None:
        return run_with_torchao("test_an_optimiser_of_eight_bits_trains_alike_and_goes_on_after_a_stop")
    eight = {"optim": "adamw_torch_8bit", "save_strategy": "steps", "save_steps": 1}
    trainer = trained(tmp_path, **eight)
    states = trainer.optimizer.optimizer.state.values()
    assert "OptimState8bit" in {type(value).__name__ for state in states for value in state.values()}
    plain, start = trained(tmp_path / "plain"), trained(tmp_path / "start", learning_rate=0.0)
    assert furthest(trainer, plain) < furthest(plain, start) / 4
    resumed = trained(tmp_path, resume=str(tmp_path / "checkpoint-1"), **eight)
    assert furthest(resumed, trainer) == 0


def test_an_optimiser_of_eight_bits_trains_on_a_gpu(tmp_path):
    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        pytest.skip("the 8-bit optimisers of bitsandbytes need it and a GPU")
    assert trained(tmp_path, optim="adamw_bnb_8bit", use_cpu=False)
