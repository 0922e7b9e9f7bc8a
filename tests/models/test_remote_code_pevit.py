"""A saved checkpoint carries its code: it loads in a process that does not have this package."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageClassification, AutoModelForSemanticSegmentation, pipeline
from without_the_package import run_without_the_package

import hipmr_hf.models
from hipmr_hf.models import (
    PEViTConfig,
    PEViTForImageClassification,
    PEViTForImageClassificationWithTeacher,
    PEViTForPreTraining,
    PEViTForSemanticSegmentation,
    PEViTImageProcessorPil,
)

MODULES = Path(hipmr_hf.models.__file__).parent
TRAVELLING = ("configuration_pevit", "embeddings_pevit", "layers_pevit", "loss_pevit", "modeling_pevit")


def tiny_config(**overrides) -> PEViTConfig:
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 8,
        "num_labels": 5,
    }
    return PEViTConfig(**{**sizes, **overrides})


def test_checkpoints_load_with_trust_in_a_process_without_the_package(tmp_path):
    torch.manual_seed(0)
    plain = PEViTForImageClassification(tiny_config()).eval()
    distilled = PEViTForImageClassificationWithTeacher(tiny_config()).eval()
    invariant = PEViTForImageClassification(tiny_config(patch_embedding="invariant")).eval()
    texture = PEViTForImageClassification(tiny_config(patch_embedding="texture")).eval()
    plain.save_pretrained(tmp_path / "plain")
    texture.save_pretrained(tmp_path / "texture")
    distilled.save_pretrained(tmp_path / "distilled")
    invariant.save_pretrained(tmp_path / "invariant")
    told = {"position_encoding": "none", "image_size": (16, 24), "pretraining_task": "places"}
    places = PEViTForPreTraining(tiny_config(**told, context_patch_rate=1.0)).eval()
    places.save_pretrained(tmp_path / "places")
    PEViTImageProcessorPil(patch_size=8).save_pretrained(tmp_path / "plain")
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    code = """
    import numpy as np, torch
    from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification
    from transformers import AutoModelForPreTraining
    folder = sys.argv[1]
    image = np.load(f"{folder}/image.npy")
    processor = AutoImageProcessor.from_pretrained(f"{folder}/plain", trust_remote_code=True)
    inputs = processor(image, return_tensors="pt")
    logits = {}
    for name in ("plain", "distilled", "texture", "invariant"):
        model = AutoModelForImageClassification.from_pretrained(f"{folder}/{name}", trust_remote_code=True)
        assert type(model).__module__.startswith("transformers_modules."), type(model)
        with torch.no_grad():
            logits[name] = model(**inputs).logits.numpy()
    told = AutoModelForPreTraining.from_pretrained(f"{folder}/places", trust_remote_code=True)
    assert type(told).__module__.startswith("transformers_modules."), type(told)
    with torch.no_grad():
        logits["places"] = told(**inputs).logits.numpy()
    np.savez(f"{folder}/logits.npz", **logits)
    base = AutoModel.from_pretrained(f"{folder}/plain", trust_remote_code=True)
    print(type(base).__name__)
    model.save_pretrained(f"{folder}/again")  # what was loaded as remote code carries its code on
    print(sorted(name for name in os.listdir(f"{folder}/again") if name.endswith(".py")))
    """
    output = run_without_the_package(code, tmp_path / "home", tmp_path)
    assert output.splitlines()[-2] == "PEViTModel"
    assert output.splitlines()[-1] == str([f"{name}.py" for name in TRAVELLING])
    inputs = PEViTImageProcessorPil(patch_size=8)(image, return_tensors="pt")
    models = {"plain": plain, "distilled": distilled, "invariant": invariant, "places": places}
    models["texture"] = texture
    with np.load(tmp_path / "logits.npz") as theirs, torch.no_grad():
        for name, model in models.items():
            np.testing.assert_allclose(theirs[name], model(**inputs).logits.numpy(), atol=1e-6)


@pytest.mark.parametrize("trust", [None, False, True])
def test_with_the_package_installed_its_own_code_wins_silently(tmp_path, trust, caplog):
    PEViTForImageClassification(tiny_config()).save_pretrained(tmp_path)
    assert "auto_map" in json.loads((tmp_path / "config.json").read_text())
    arguments = {} if trust is None else {"trust_remote_code": trust}
    with caplog.at_level("WARNING"):
        model = AutoModelForImageClassification.from_pretrained(tmp_path, **arguments)
    assert type(model) is PEViTForImageClassification
    assert not [record for record in caplog.records if "custom code" in record.message]


def test_travelling_files_import_only_each_other():
    for name in (*TRAVELLING, "image_processing_pevit", "pretraining_pevit", "segmentation_pevit"):
        source = (MODULES / f"{name}.py").read_text()
        # The pattern of transformers.dynamic_module_utils, which also matches inside docstrings.
        siblings = re.findall(r"^\s*from\s+\.(\S+)\s+import", source, flags=re.MULTILINE)
        assert set(siblings) <= set(TRAVELLING), name
        assert not re.search(r"^\s*(import|from)\s+hipmr_hf", source, flags=re.MULTILINE), name


def test_checkpoints_segment_with_and_without_the_package(tmp_path):
    """`pipeline("image-segmentation")`, and the backbone's `pipeline("image-feature-extraction")`."""
    torch.manual_seed(0)
    config = tiny_config(position_encoding="absolute", image_size=(16, 24), id2label=dict(enumerate("abcde")))
    model, processor = PEViTForSemanticSegmentation(config).eval(), PEViTImageProcessorPil(patch_size=8)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "encrypted.png")
    folder = str(tmp_path / "model")
    assert type(AutoModelForSemanticSegmentation.from_pretrained(folder)) is PEViTForSemanticSegmentation
    here = {
        "masks": {
            one["label"]: np.asarray(one["mask"])
            for one in pipeline("image-segmentation", model=folder, device="cpu")(picture)
        },
        "features": np.asarray(pipeline("image-feature-extraction", model=folder, device="cpu")(picture)),
        "pooled": np.asarray(
            pipeline("image-feature-extraction", model=folder, device="cpu")(picture, pool=True)
        ),
    }
    with torch.no_grad():
        inputs = processor(picture, return_tensors="pt")
        logits, hidden = model(**inputs).logits, model.pevit(**inputs)
    classes = logits[0].argmax(dim=0).numpy()
    assert sorted(here["masks"]) == [model.config.id2label[i] for i in np.unique(classes)]
    for label, mask in here["masks"].items():
        np.testing.assert_array_equal(mask == 255, classes == "abcde".index(label))
    np.testing.assert_allclose(here["features"], hidden.last_hidden_state, atol=1e-5)
    np.testing.assert_allclose(here["pooled"], hidden.pooler_output, atol=1e-5)
    code = """
    import numpy as np
    from PIL import Image
    from transformers import pipeline
    folder, picture = f"{sys.argv[1]}/model", Image.open(f"{sys.argv[1]}/encrypted.png")
    arguments = {"model": folder, "device": "cpu", "trust_remote_code": True}
    masks = pipeline("image-segmentation", **arguments)(picture)
    extract = pipeline("image-feature-extraction", **arguments)
    assert type(extract.model).__module__.startswith("transformers_modules.")
    np.savez(f"{sys.argv[1]}/theirs.npz", features=extract(picture), pooled=extract(picture, pool=True),
             **{one["label"]: one["mask"] for one in masks})
    """
    run_without_the_package(code, tmp_path / "home", tmp_path)
    with np.load(tmp_path / "theirs.npz") as theirs:
        assert set(theirs) == {"features", "pooled", *here["masks"]}
        for label, mask in here["masks"].items():
            np.testing.assert_array_equal(theirs[label], mask)
        for name in ("features", "pooled"):
            np.testing.assert_allclose(theirs[name], here[name], atol=1e-5)
