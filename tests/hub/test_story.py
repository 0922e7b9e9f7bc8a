"""The whole story in processes of their own, with a Hub on the loopback interface between them.

The owner encrypts and publishes; the builder, who never sees a plain image, trains and pushes; the client,
without torch, encrypts a photograph with the model's settings; a server that has transformers and not this
package predicts on what the client sent.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from example_helpers import EXAMPLES, TINY_MODEL
from hub_server import HubServer

from hipmr_hf import PEViTForImageClassification, PEViTImageProcessorPil, SecretKey
from hipmr_hf.leaks.guard import find_leaks

BLOCK = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""

CLIENT = """
import sys
import numpy as np, PIL.Image
from hipmr_hf import Encryption

encryption = Encryption.from_pretrained("builder/pevit")
encryption(PIL.Image.open("photo.jpg")).save("sent.png")
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""

SERVER = """
import json, sys
import PIL.Image, torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

sent = PIL.Image.open("sent.png")
trust = {"trust_remote_code": True}
processor = AutoImageProcessor.from_pretrained("builder/pevit", **trust)
model = AutoModelForImageClassification.from_pretrained("builder/pevit", **trust)
base = AutoModel.from_pretrained("builder/pevit", **trust)
with torch.no_grad():
    logits = model(**processor(sent, return_tensors="pt")).logits[0].tolist()
    tokens = base(**processor(sent, return_tensors="pt")).last_hidden_state.shape
classify = pipeline("image-classification", model="builder/pevit", **trust)
assert "hipmr_hf" not in sys.modules
print(json.dumps({"logits": logits, "tokens": list(tokens), "best": classify(sent)[0]["label"]}))
"""


def run(*command: object, environment: dict[str, str], cwd: Path) -> str:
    cwd.mkdir(exist_ok=True)
    words = [sys.executable, *map(str, command)]
    result = subprocess.run(
        words, env=environment, cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def hipmr(*arguments: object, environment: dict[str, str], cwd: Path) -> str:
    code = "import sys; from hipmr_hf.cli import main; sys.exit(main())"
    return run("-c", code, *arguments, environment=environment, cwd=cwd)


@pytest.fixture
def plain(tmp_path) -> Path:
    """The owner's folder: scikit-learn's digits as named pictures in train/ and test/."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for i in range(96):
        split = "train" if i < 64 else "test"
        path = tmp_path / "plain" / split / str(data.target[i]) / f"john_doe_canary_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = (data.images[i] * 15.9375).astype(np.uint8)
        PIL.Image.fromarray(grey).resize((32, 32)).convert("RGB").save(path)
    return tmp_path / "plain"


def test_from_plain_images_to_a_prediction_on_an_encrypted_one(plain, tmp_path, photo):
    with HubServer(tmp_path / "hub") as hub:
        # The owner
        owner = hub.environment("hf_owner", tmp_path / "home_of_owner")
        (tmp_path / "owner").mkdir()
        SecretKey.generate().save(tmp_path / "owner" / "my.key")
        options = ["--image-size", 32, "--patch-size", 8, "--key-file", "my.key", "--shuffle-rows"]
        options += ["--output-dir", "encrypted", "--push-to-hub", "owner/digits", "--license", "bsd-3-clause"]
        hipmr("encrypt", plain, *options, environment=owner, cwd=tmp_path / "owner")

        # The builder
        builder = hub.environment("hf_builder", tmp_path / "home_of_builder")
        options = ["--dataset_name", "owner/digits", "--output_dir", "out", "--do_train", "--do_eval"]
        options += ["--max_steps", 3, "--use_cpu", "--report_to", "none", "--disable_tqdm", "true"]
        options += ["--push_to_hub", "--hub_model_id", "builder/pevit", *TINY_MODEL]
        run(EXAMPLES / "run_image_classification.py", *options, environment=builder, cwd=tmp_path / "builder")

        # The client
        (tmp_path / "client").mkdir()
        PIL.Image.fromarray(photo).save(tmp_path / "client" / "photo.jpg")
        client = hub.environment("hf_client", tmp_path / "home_of_client")
        without_torch = BLOCK.format(names={"torch", "transformers"})
        run("-c", without_torch + CLIENT, environment=client, cwd=tmp_path / "client")

        # The server
        (tmp_path / "server").mkdir()
        (tmp_path / "client" / "sent.png").rename(tmp_path / "server" / "sent.png")
        server = hub.environment(None, tmp_path / "home_of_server")
        without_us = BLOCK.format(names={"hipmr_hf"})
        printed = run("-c", without_us + SERVER, environment=server, cwd=tmp_path / "server")
        answer = json.loads(printed.splitlines()[-1])
        assert hub.unknown == []
        published = hub.files("datasets", "owner/digits") | hub.files("models", "builder/pevit")

    model = PEViTForImageClassification.from_pretrained(tmp_path / "builder" / "out").eval()
    processor = PEViTImageProcessorPil.from_pretrained(tmp_path / "builder" / "out")
    sent = PIL.Image.open(tmp_path / "server" / "sent.png")
    with torch.no_grad():
        expected = model(**processor(sent, return_tensors="pt")).logits[0]
    np.testing.assert_allclose(answer["logits"], expected.numpy(), atol=1e-5)
    assert answer["tokens"] == [1, 17, 32] and answer["best"] == model.config.id2label[int(expected.argmax())]

    # Nobody but the owner has a name, a key or a pixel of the plain images.
    key = SecretKey.load(tmp_path / "owner" / "my.key")
    assert find_leaks(tmp_path / "owner" / "encrypted", keys=[key]).leaks == ()
    pixels = [path.read_bytes()[50:90] for path in plain.rglob("*.png")]
    homes = [path for name in ("builder", "server") for path in (tmp_path / f"home_of_{name}").rglob("*")]
    seen = [path.read_bytes() for path in homes if path.is_file()] + list(published.values())
    assert len(seen) > 20
    for content in seen:
        assert b"john_doe_canary" not in content and key._secret not in content
        assert not any(piece in content for piece in pixels)
    assert "training_args.bin" not in published
