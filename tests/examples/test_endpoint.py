"""What the client's page says of servers: each recipe that can run here, as its file or the page has it."""

import base64
import importlib
import io
import re
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from example_helpers import EXAMPLES
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image
from sklearn.datasets import load_sample_images
from transformers import pipeline

from hipmr_hf import (
    Encryption,
    MixingUp,
    PEViTConfig,
    PEViTForImageClassification,
    PEViTImageProcessorPil,
    RandomShuffling,
)

PAGE = (EXAMPLES.parent / "docs" / "client.md").read_text()
LABELS = {0: "house", 1: "street", 2: "forest"}


def png(image: Image.Image, image_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, image_format)
    return file.getvalue()


@pytest.fixture(scope="module")
def crops() -> list[Image.Image]:
    """Square crops of the two photographs that come with scikit-learn."""
    draw, found = np.random.default_rng(0), []
    for photo in load_sample_images().images:
        for _ in range(16):
            side = int(draw.integers(224, 400))
            top, left = (int(draw.integers(0, whole - side)) for whole in photo.shape[:2])
            found.append(Image.fromarray(photo[top : top + side, left : left + side]).resize((224, 224)))
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny model with its own code, as Trainer pushes it."""
    torch.manual_seed(0)
    encryption = RandomShuffling(image_size=224, patch_size=16)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = PEViTConfig(patch_size=16, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}, **sizes)
    folder = tmp_path_factory.mktemp("endpoint")
    PEViTForImageClassification(config).save_pretrained(folder)
    PEViTImageProcessorPil(patch_size=16).save_pretrained(folder)
    encryption.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sealed(checkpoint, crops) -> Image.Image:
    return Encryption.from_pretrained(checkpoint)(crops[0])


@pytest.fixture(scope="module")
def expected(checkpoint, sealed) -> list:
    return pipeline("image-classification", model=str(checkpoint))(sealed)


@pytest.fixture(scope="module")
def module():
    """`examples/endpoint/handler.py`, as an endpoint finds it: by its name in a folder."""
    sys.path.insert(0, str(EXAMPLES / "endpoint"))
    yield importlib.import_module("handler")
    sys.path.remove(str(EXAMPLES / "endpoint"))
    sys.modules.pop("handler")


@pytest.fixture(scope="module")
def handler(module, checkpoint):
    return module.EndpointHandler(str(checkpoint))


@pytest.mark.parametrize("form", ["picture", "png", "webp", "base64", "data URL"])
def test_the_handler_answers_as_the_pipeline_does(handler, sealed, expected, form):
    text = base64.b64encode(png(sealed)).decode()
    webp = io.BytesIO()
    sealed.save(webp, "WEBP", lossless=True)
    given = {
        "picture": sealed,
        "png": png(sealed),
        "webp": webp.getvalue(),
        "base64": text,
        "data URL": f"data:image/png;base64,{text}",
    }
    assert handler({"inputs": given[form]}) == expected
    best = handler({"inputs": given[form], "parameters": {"top_k": 1, "function_to_apply": None}})
    assert best == expected[:1]


def test_the_handler_refuses_plain_pictures_and_says_how_to_seal_them(handler, crops, record_property):
    refused = 0
    for crop in crops:
        try:
            handler({"inputs": crop})
        except ValueError as error:
            assert "it was not classified" in str(error) and "encryption_config.json" in str(error)
            assert "hipmr.js" in str(error)
            refused += 1
    told = f"{refused} of {len(crops)} plain crops of photographs are refused, with patches of 16 pixels"
    record_property("figure", told)
    assert refused >= 0.85 * len(crops)


@pytest.mark.parametrize("name", ["rs", "rs with an interval", "mi", "classification", "dense"])
def test_no_encrypted_picture_is_taken_for_a_plain_one(crops, name):
    own = {"rs": RandomShuffling(), "rs with an interval": RandomShuffling(interval=4), "mi": MixingUp()}
    encryption = own.get(name) or Encryption.from_preset(name)
    processor = PEViTImageProcessorPil(patch_size=encryption.encrypted_patch_size)
    assert not any(processor.looks_plain(encryption(crop)) for crop in crops)


def test_pictures_of_several_are_plain_if_all_of_them_look_so(crops):
    processor = PEViTImageProcessorPil(patch_size=16)
    plain = [crop for crop in crops if processor.looks_plain(crop)][:2]
    encrypted = RandomShuffling()(plain[0])
    assert processor.looks_plain(plain) and not processor.looks_plain([*plain, encrypted])
    assert not processor.looks_plain(np.zeros((32, 32, 3), np.uint8))  # one colour tells nothing


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (b"", {}, r"got 0 bytes, expected a picture"),
        (b"no picture", {}, r"got no picture, expected a file of PNG, WEBP, JPEG"),
        ("no base64!", {}, r"text that is no base64"),
        (None, {}, r"got NoneType, expected a picture"),
        (Image.new("RGB", (1, 2**24 + 1)), {}, r"expected at most 16777216"),
        (Image.new("RGB", (30, 40)), {}, r"not whole patches"),
        (Image.new("RGB", (32, 32)), {"threshold": 1}, r"parameters: got \['threshold'\], expected some of"),
    ],
)
def test_the_handler_says_what_a_client_can_mend(handler, inputs, parameters, message):
    with pytest.raises(ValueError, match=message):
        handler({"inputs": inputs, "parameters": parameters})


def test_a_damaged_file_is_told(handler, sealed):
    file = png(sealed)
    for broken in (file[: len(file) // 2], file[:60] + bytes(40) + file[100:]):
        with pytest.raises(ValueError, match=r"damaged|no picture"):
            handler({"inputs": broken})


@pytest.fixture(scope="module")
def address(module, checkpoint, tmp_path_factory):
    """`examples/endpoint/app.py` under uvicorn, on loopback."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed, so FastAPI was not tried")
    pytest.importorskip("fastapi", reason="fastapi is not installed, so its recipe was not tried")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHECKPOINT", str(checkpoint))
        patch.setenv("ORIGINS", "https://page.example.org")
        app = importlib.import_module("app").app
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # websockets', of uvicorn
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        for end in range(600):
            if server.started:
                break
            assert end < 599, "uvicorn did not start"
            time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(timeout=30)
    sys.modules.pop("app")


def test_the_hubs_client_asks_the_app_as_it_asks_the_hub(address, sealed, expected, crops):
    client = InferenceClient(model=address)
    for asked in ({}, {"top_k": 2}):  # the bytes themselves; base64 in JSON
        answers = client.image_classification(png(sealed), **asked)
        told = [(answer.label, answer.score) for answer in answers]
        assert told == [(answer["label"], answer["score"]) for answer in expected][: asked.get("top_k", 3)]
    with pytest.raises(HfHubHTTPError, match=r"the picture looks plain.*Encrypt it where it lies") as refused:
        client.image_classification(png(crops[0]))
    assert refused.value.response.status_code == 400


def test_the_app_lets_the_named_pages_alone_ask(address):
    import urllib.error
    import urllib.request

    def preflight(origin: str) -> str | None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        headers["Access-Control-Request-Headers"] = "content-type"
        request = urllib.request.Request(address, method="OPTIONS", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.headers["access-control-allow-origin"]
        except urllib.error.HTTPError as error:
            return error.headers["access-control-allow-origin"]

    assert preflight("https://page.example.org") == "https://page.example.org"
    assert preflight("https://elsewhere.example.org") is None
    bad = urllib.request.Request(address, data=b"[1]", headers={"content-type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(bad)
    assert told.value.code == 400 and b"expected" in told.value.read()


def test_transformers_serve_has_no_image_classification_as_the_page_says():
    """Once it has, the page is to show it."""
    serving = importlib.util.find_spec("transformers.cli.serving")
    if serving is None:
        pytest.skip("this transformers has no `serve` of this form")
    routes = re.findall(r'"(/v1/[\w/]+)"', (Path(serving.origin).parent / "server.py").read_text())
    assert routes and not any("classif" in route for route in routes)
    assert "no image classification" in " ".join(PAGE.split())


def test_the_page_names_the_files_that_these_tests_ran():
    for name in ("endpoint/handler.py", "endpoint/app.py"):
        assert f"examples/{name}" in PAGE and (EXAMPLES / name).is_file()
