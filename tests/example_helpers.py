"""Small datasets, settings and files that the tests of the examples share."""

import json
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as PILImage

from hipmr_hf import MixingUp, RandomShuffling

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SHUFFLING = RandomShuffling(image_size=32, patch_size=8)
MIXING = MixingUp(image_size=32, patch_size=8)
ADAPTED = RandomShuffling(image_size=32, patch_size=8, sub_patch_grid=2, shuffle_tones=True)
TINY_MODEL = ["--hidden_size", "32", "--num_hidden_layers", "2", "--num_attention_heads", "2"]


def digits() -> DatasetDict:
    """64 + 30 of scikit-learn's digits, with a column of a teacher's logits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = (data.images * 15.9375).astype(np.uint8)
    labels = ClassLabel(names=[str(i) for i in range(10)])
    features = Features({"image": Image(), "label": labels, "teacher_logits": List(Value("float32"))})
    splits = {}
    for name, rows in (("train", range(64)), ("test", range(64, 94))):
        splits[name] = Dataset.from_dict(
            {
                "image": [PILImage.fromarray(grey[i]).resize((32, 32)).convert("RGB") for i in rows],
                "label": data.target[rows].tolist(),
                "teacher_logits": [np.eye(10)[data.target[i]].tolist() for i in rows],
            },
            features=features,
        )
    return DatasetDict(splits)


def results(folder: Path) -> dict[str, float]:
    return json.loads((folder / "all_results.json").read_text())
