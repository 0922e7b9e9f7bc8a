"""The quick start to its end, and the page of sealed upload for its model in a real browser: `make demo`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsers import Browser
from client_helpers import find_node, skip_loudly
from datasets import load_dataset
from example_helpers import EXAMPLES, results
from page_helpers import ask, drop, sent, text_of
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline

from hipmr_hf import Encryption
from hipmr_hf.cli import main
from hipmr_hf.images.reading import read_image

# A finished quick start, such as outputs/quickstart, and where pictures of the page go, such as docs/images:
# `make demo-pictures` names both.
FINISHED, PICTURES = os.environ.get("HIPMR_QUICKSTART"), os.environ.get("HIPMR_PAGE_PICTURES")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> tuple[Path, str]:
    """One epoch instead of forty; everything else as `make quickstart` does it."""
    if FINISHED:
        return Path(FINISHED), ""
    output = tmp_path_factory.mktemp("run") / "quickstart"
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), "--output_dir", str(output), "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return output, done.stdout


def test_the_quick_start_runs_to_the_end(quickstart, tmp_path):
    output, said = quickstart
    if not said:
        pytest.skip("a finished quick start was named")
    assert "PEViT, trained and tested on encrypted images, reloaded with AutoModel:" in said
    for picture in ("plain_and_encrypted.png", "curves.png"):
        with Image.open(output / picture) as image:
            assert image.width > 600
    assert said.count("  epoch 1 of 1: loss ") == 2 and ", accuracy 0." in said
    model = AutoModelForImageClassification.from_pretrained(output / "pevit")
    encrypted = load_dataset(str(output / "encrypted"), cache_dir=str(tmp_path / "cache"))
    assert model.config.num_labels == 10 and len(encrypted["test"]) == 360
    shown = float(said.split("reloaded with AutoModel:")[1].split("%")[0])
    assert shown == round(100 * results(output / "pevit")["eval_accuracy"], 1)


def test_a_second_run_does_not_write_over_the_first(tmp_path):
    (tmp_path / "something").touch()
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), "--output_dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "is not empty; remove it or name another" in done.stderr


# The demo


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> Path:
    """A handwritten digit of the test split, as a JPEG file with a telling name."""
    from sklearn.datasets import load_digits

    grey = (load_digits().images[1700] * (255 / 16)).round().astype(np.uint8)
    path = tmp_path_factory.mktemp("photograph") / "form_of_john_doe.jpg"
    picture = Image.fromarray(grey).resize((32, 32), Image.Resampling.BICUBIC)
    picture.convert("RGB").resize((480, 480), Image.Resampling.BICUBIC).save(path, quality=92)
    return path


def build_page(checkpoint: Path, exported: Path, space: Path) -> None:
    assert main(["export", str(checkpoint), "--output-dir", str(exported)]) == 0
    command = [sys.executable, str(EXAMPLES / "space" / "build.py"), str(exported)]
    command += ["--output_dir", str(space), "--endpoint", "/predict", "--name", "pevit-digits-rs"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if "npm" in built.stderr:
        skip_loudly("npm did not get ONNX Runtime, so the demo was NOT tried in a browser")
    assert built.returncode == 0, built.stderr


@pytest.fixture(scope="module")
def demo(quickstart) -> Iterator[str]:
    """The commands of `make demo`, the server included; gives its address."""
    find_node()
    pytest.importorskip("onnxscript", reason='needs the extra "export"')
    checkpoint = quickstart[0] / "pevit"
    space = quickstart[0].parent / "space"
    if not (space / "page.json").is_file():  # `make demo-page` puts it beside a finished quick start
        build_page(checkpoint, space.with_name("space_model"), space)
    command = [sys.executable, str(EXAMPLES / "space" / "serve.py"), str(space), str(checkpoint)]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as serving:
        yield serving.stdout.readline().split()[0]
        serving.terminate()


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_the_demo_goes_from_a_dropped_jpeg_to_what_pythons_pipeline_says(demo, quickstart, photograph):
    """In the page and through the endpoint: on the very pixels that left, and on Python's own sealed ones."""
    browser = Browser("chromium")
    try:
        browser("open", url=f"{demo}index.html", width=1000, height=920)
        browser("wait", body="!document.getElementById('file').disabled")
        drop(browser, photograph)
        if PICTURES:
            browser("picture", path=f"{PICTURES}/sealed_upload_first_steps.png", whole=False)
        here, there = ask(browser, "here"), ask(browser, "endpoint")
        assert text_of(browser, "#problem") == ""
        pixels = Image.frombytes("RGB", (32, 32), sent(browser))
        if PICTURES:
            browser("picture", path=f"{PICTURES}/sealed_upload.png")
            browser("open", url=f"{demo}index.html", width=390, height=800, dark=True)
            browser("wait", body="!document.getElementById('file').disabled")
            drop(browser, photograph)
            ask(browser, "here")
            browser("picture", path=f"{PICTURES}/sealed_upload_phone.png")
    finally:
        browser.close()
    classify = pipeline("image-classification", model=str(quickstart[0] / "pevit"))
    encryption = Encryption.from_pretrained(quickstart[0] / "pevit")
    own = encryption(Image.fromarray(read_image(photograph.read_bytes())))
    for sealed, within in ((pixels, 1e-5), (own, 1e-4)):  # another order of patches, the same answer
        expected = [(answer["label"], answer["score"]) for answer in classify(sealed)]
        for said in (here, there):
            assert [label for label, _ in said] == [label for label, _ in expected]
            assert [score for _, score in said] == pytest.approx([s for _, s in expected], abs=within)
