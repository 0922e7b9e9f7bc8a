"""What docs/builder.md says of peft, torch.compile, gradient checkpointing and 8-bit optimisers, run."""

import importlib.util

import pytest
import torch
from transformers import Trainer, TrainingArguments

from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEYolosConfig,
    PEYolosForObjectDetection,
)

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


def test_compiled_it_gives_the_same_logits():
    model = pevit().eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)  # all but the C compiler's part
    with torch.no_grad():
        torch.testing.assert_close(compiled(PIXELS).logits, model(PIXELS).logits, atol=1e-5, rtol=1e-5)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(LABELS)

    def __getitem__(self, index):
        return {"pixel_values": PIXELS[index], "labels": LABELS[index]}


def train(folder, **settings):
    arguments = TrainingArguments(
        folder, max_steps=2, per_device_train_batch_size=4, report_to="none", save_strategy="no", **settings
    )
    model = pevit()
    Trainer(model, arguments, train_dataset=Rows()).train()
    return model.state_dict()


def test_gradient_checkpointing_trains_the_same_weights(tmp_path):
    plain = train(tmp_path, use_cpu=True)
    checkpointed = train(tmp_path, use_cpu=True, gradient_checkpointing=True)
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-6) for name in plain)


def test_an_optimiser_of_eight_bits_trains(tmp_path):
    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        pytest.skip("8-bit optimisers need the optional bitsandbytes and a GPU")
    assert train(tmp_path, optim="adamw_bnb_8bit")
