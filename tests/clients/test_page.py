"""The page in real browsers: what it shows, what leaves it, and that everybody can use it."""

import io
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from browsers import Browser, Site
from client_helpers import CLIENT, load_example, skip_loudly
from page_helpers import answers_on, sent, text_of

from hipmr_hf import Encryption, MixingUp, RandomShuffling
from hipmr_hf.cli import main
from hipmr_hf.hub.limits import what_is_not_protected
from hipmr_hf.hub.preset_figures import figures_of
from hipmr_hf.images.reading import read_image

ENCRYPTION = RandomShuffling(
    64, 16, interval=4, sub_patch_grid=2, sub_patch_symmetries=True, patch_normalization=True
)
NAME, ARTIST = "john_doe_1967-03-02.jpg", "Jane Doe"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A photograph's file as a camera writes it: with a telling name, and metadata."""
    path = tmp_path_factory.mktemp("plain") / NAME
    exif = PIL.Image.Exif()
    exif[0x013B] = ARTIST
    load_example("space/attack.py").scene().save(path, quality=92, exif=exif, comment=b"ward 12")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny model for such pictures."""
    import torch

    from hipmr_hf import PEViTConfig, PEViTForImageClassification, PEViTImageProcessorPil

    torch.manual_seed(0)
    config = PEViTConfig(
        image_size=ENCRYPTION.encrypted_size[0],
        patch_size=ENCRYPTION.encrypted_patch_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        id2label={0: "house", 1: "street", 2: "forest"},
        label2id={"house": 0, "street": 1, "forest": 2},
    )
    folder = tmp_path_factory.mktemp("checkpoint")
    PEViTForImageClassification(config).save_pretrained(folder)
    PEViTImageProcessorPil(patch_size=config.patch_size).save_pretrained(folder)
    ENCRYPTION.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classify(checkpoint):
    from transformers import pipeline

    return pipeline("image-classification", model=str(checkpoint))


@pytest.fixture(scope="module")
def space(checkpoint, tmp_path_factory) -> Path:
    """The page as it is built for a Space."""
    folder = tmp_path_factory.mktemp("space") / "page"
    build = load_example("space/build.py").build
    assert build(checkpoint, folder, name="a tiny model", endpoint="/predict") is False  # there is no ONNX
    return folder


@pytest.fixture(scope="module")
def site(space, classify) -> Iterator[Site]:
    site = Site(space)
    site.answers["/predict"] = lambda body: classify(PIL.Image.open(io.BytesIO(body)))
    site.headers = load_example("space/serve.py").HEADERS
    yield site
    site.close()


@pytest.fixture(scope="module")
def onnx_site(checkpoint, tmp_path_factory) -> Iterator[Site]:
    """The page as it is built for a checkpoint that lies beside its ONNX export; there is no endpoint."""
    exported = tmp_path_factory.mktemp("exported") / "model"
    assert main(["export", str(checkpoint), "--output-dir", str(exported)]) == 0
    folder = tmp_path_factory.mktemp("space") / "page"
    try:
        assert load_example("space/build.py").build(exported, folder, name="a tiny model") is True
    except subprocess.CalledProcessError:
        skip_loudly("npm did not get ONNX Runtime, so no model was run in the page")
    site = Site(folder)
    yield site
    site.close()


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def browser(request, site) -> Iterator[Browser]:
    browser = Browser(request.param)
    yield browser
    browser.close()


def open_page(browser: Browser, site: Site, plain: Path, **how) -> None:
    site.requests.clear()
    browser("open", url=f"{site.url}/index.html", **how)
    browser("wait", body="!document.getElementById('file').disabled")
    browser("upload", selector="#file", path=str(plain))
    browser(
        "wait", body="!document.getElementById('found').hidden || !document.getElementById('problem').hidden"
    )
    assert text_of(browser, "#problem") == ""


@pytest.fixture
def page(browser, site, plain) -> Browser:
    open_page(browser, site, plain)
    return browser


def test_nothing_leaves_before_the_model_is_asked(page, site, plain):
    assert [request for request in site.requests if request.method != "GET"] == []
    told = b"".join(request.everything() for request in site.requests)
    assert NAME.encode() not in told and ARTIST.encode() not in told
    assert text_of(page, "#status") == "Encrypted. Nothing has been sent."
    assert text_of(page, "#viewers").startswith("Casual viewers")
    assert what_is_not_protected(ENCRYPTION)[0] in text_of(page, "#limits")
    assert "house" not in text_of(page, "#answers")


def test_the_page_shows_what_an_attacker_made_of_an_example(page, space):
    assert re.search(r"solver .* put \d+% of the neighbours", text_of(page, "#example-said"))
    shown = page.run("""
        const images = [...document.querySelectorAll("#example img")];
        await Promise.all(images.map((image) => image.decode()));
        return images.map((image) => [new URL(image.src).pathname, image.naturalWidth]);
    """)
    wide = ENCRYPTION.encrypted_size[1]
    assert shown == [
        ["/example/plain.png", 64],
        ["/example/sealed.png", wide],
        ["/example/attacked.png", wide],
    ]
    assert page.run("return document.getElementById('figures').hidden")  # these settings are no preset


def test_figures_of_a_preset_stand_in_a_table(browser, space, site):
    about = json.loads((space / "page.json").read_text())
    preset = Encryption.from_preset("classification")
    about["figures"] = load_example("space/attack.py").measured_figures(preset)
    site.files["page.json"] = json.dumps(about).encode()
    try:
        browser("open", url=f"{site.url}/index.html")
        browser("wait", body="!document.getElementById('file').disabled")
        assert "the preset classification" in text_of(browser, "#figures-caption")
        for figure in figures_of("classification").values():
            assert figure.said in text_of(browser, "#rows") and figure.command in text_of(browser, "#rows")
    finally:
        del site.files["page.json"]


@pytest.mark.parametrize(
    ("encryption", "files", "said"),
    [
        (MixingUp(image_size=64), ["attacked", "plain", "sealed"], r"Smoothing .* dB PSNR"),
        (MixingUp(image_size=64, patch_normalization=True), ["plain", "sealed"], r"no attacker is at hand"),
        (RandomShuffling(64, 16), ["attacked", "plain", "sealed"], r"settings alone put \d+%"),
    ],
)
def test_an_example_is_attacked_as_the_settings_allow(encryption, files, said, tmp_path):
    attack = load_example("space/attack.py")
    told = attack.show_what_is_left(encryption, tmp_path / "left", attack.scene())
    assert re.search(said, told["said"])
    assert sorted(path.stem for path in (tmp_path / "left").iterdir()) == files
    assert np.asarray(PIL.Image.open(tmp_path / "left" / "plain.png")).shape == (64, 64, 3)


def test_what_leaves_is_the_encrypted_picture_alone_and_is_answered_as_pythons_pipeline_does(
    page, site, plain, classify
):
    page.run("document.getElementById('predict').click()")
    said = answers_on(page)
    posts = [request for request in site.requests if request.method == "POST"]
    assert [request.path for request in posts] == ["/predict"]
    body = posts[0].body
    pixels = np.asarray(PIL.Image.open(io.BytesIO(body)))
    assert pixels.shape == (*ENCRYPTION.encrypted_size, 3) and pixels.tobytes() == sent(page)
    assert re.findall(rb"IHDR|IDAT|IEND|tEXt|eXIf|iCCP|pHYs|sRGB|gAMA", body) == [b"IHDR", b"IDAT", b"IEND"]

    file, prepared = plain.read_bytes(), ENCRYPTION.prepare(read_image(plain.read_bytes()))
    for request in site.requests:
        told = request.everything()
        assert not any(word.encode() in told for word in (NAME, "john_doe", ARTIST, "ward 12"))
        assert not any(file[i : i + 24] in told for i in range(0, len(file) - 24, 16))
        assert "referer" not in request.headers.lower() or "cookie" not in request.headers.lower()
    rows = {row[i : i + 12].tobytes() for row in prepared for i in range(0, 53, 4)}
    assert not any(
        row[i : i + 12].tobytes() in rows for row in pixels for i in range(0, pixels.shape[1] - 11, 4)
    )

    expected = classify(PIL.Image.fromarray(pixels))
    assert [label for label, _ in said] == [answer["label"] for answer in expected]
    assert [score for _, score in said] == pytest.approx([answer["score"] for answer in expected], abs=1e-6)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_the_page_runs_the_model_itself_as_pythons_pipeline_does_and_sends_nothing(
    browser, onnx_site, plain, classify
):
    open_page(browser, onnx_site, plain)
    browser.run("document.getElementById('predict').click()")
    said = answers_on(browser)
    side = ENCRYPTION.encrypted_size[0]
    expected = classify(PIL.Image.frombytes("RGB", (side, side), sent(browser)))
    assert [label for label, _ in said] == [answer["label"] for answer in expected]
    assert [score for _, score in said] == pytest.approx([answer["score"] for answer in expected], abs=1e-5)
    assert {request.method for request in onnx_site.requests} == {"GET"}
    assert text_of(browser, "#status") == f"The model says: {expected[0]['label']}."


def test_no_other_address_is_asked_and_none_can_be(page, site):
    if page.name == "chromium":  # Firefox does not tell of all
        places = {
            re.sub(r"^blob:", "", url).split("/")[2] for url in page("asked") if not url.startswith("data:")
        }
        assert places == {site.url.split("/")[2]}
    elsewhere = Site()
    elsewhere.files["pixel.png"] = b""
    blocked = """
        const refused = [];
        const note = (event) => refused.push(event.effectiveDirective);
        document.addEventListener("securitypolicyviolation", note);
        await fetch(given, { method: "POST", body: "plain" }).catch(() => {});
        const image = new Image();
        image.src = given;
        navigator.sendBeacon(given, "plain");
        const script = document.createElement("script");
        script.textContent = "fetch('x')";
        document.body.append(script);
        await new Promise((resolve) => setTimeout(resolve, 300));
        return refused;
    """
    refused = page.run(blocked, f"{elsewhere.url}/pixel.png")
    elsewhere.close()
    assert elsewhere.requests == []
    assert {"connect-src", "img-src"} <= set(refused) and any("script-src" in name for name in refused)


def test_a_picture_is_dropped_and_another_one_takes_its_place(page):
    first = sent(page)
    page.run("""
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 90;
        canvas.getContext("2d").fillRect(0, 0, 45, 90);
        const blob = await new Promise((resolve) => canvas.toBlob(resolve));
        const transfer = new DataTransfer();
        transfer.items.add(new File([blob], "dropped.png", { type: "image/png" }));
        document.getElementById("answers").textContent = "old";
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
    """)
    page(
        "wait",
        body="!document.getElementById('answers').textContent && !document.getElementById('found').hidden",
    )
    assert sent(page) != first


def test_what_goes_wrong_is_told_where_it_is_heard(page):
    page.run("""
        const transfer = new DataTransfer();
        transfer.items.add(new File(["no picture"], "x.png", { type: "image/png" }));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
    """)
    page("wait", body="!document.getElementById('problem').hidden")
    assert "it is corrupt, or of a format that this browser does not show" in text_of(page, "#problem")
    assert page.run("return document.getElementById('problem').getAttribute('role')") == "alert"


def test_it_works_by_keyboard_alone(page, site):
    """From the top, Tab reaches every control in order; Enter on the form asks."""
    page.run("document.activeElement.blur()")
    page.run("document.querySelector('h1').tabIndex = -1; document.querySelector('h1').focus()")
    reached = []
    for _ in range(14):
        page("press", key="Tab")
        reached.append(page.run("return document.activeElement.id || document.activeElement.value || ''"))
        if reached[-1] == "predict":
            break
    wanted = ["file", "download", "bytes", "endpoint", "token", "predict"]
    assert [name for name in reached if name in wanted] == [name for name in wanted if name in reached]
    assert {"file", "download", "predict"} <= set(reached), reached
    page("press", key="Enter")
    page("wait", body="document.querySelectorAll('#answers li').length > 0")


def test_every_control_and_picture_has_a_name(page):
    nameless = page.run("""
        const controls = document.querySelectorAll("input, button, a, img, meter, dialog, section, pre, ol");
        const named = (node) => node.labels?.length || node.textContent.trim() || node.alt ||
          node.getAttribute("aria-label") || node.getAttribute("aria-labelledby");
        return [...controls].filter((node) => !named(node)).map((node) => node.outerHTML);
    """)
    assert nameless == []
    assert page.run("return document.documentElement.lang") == "en"


def test_it_fits_a_phone_and_is_dark_where_that_is_asked_for(browser, site, plain):
    if browser.name != "chromium":
        pytest.skip("this Firefox takes no sizes and no colour scheme from its driver")
    open_page(browser, site, plain)
    light = browser.run("return getComputedStyle(document.body).backgroundColor")
    open_page(browser, site, plain, width=360, height=740, dark=True)
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != light
    small = browser.run("""
        const buttons = [...document.querySelectorAll("button")].filter((button) => button.offsetParent);
        return buttons.filter((button) => button.offsetHeight < 44).map((button) => button.id);
    """)
    assert small == []


def test_a_page_without_a_model_says_how_to_build_one(browser):
    bare = Site(CLIENT)
    browser("open", url=f"{bare.url}/index.html")
    browser("wait", body="!document.getElementById('problem').hidden")
    assert "build the page for a model with examples/space/build.py" in text_of(browser, "#problem")
    bare.close()


def test_the_demo_answers_as_the_page_expects_and_refuses_what_is_no_encrypted_picture(
    space, checkpoint, classify
):
    serving = load_example("space/serve.py").server(space, checkpoint)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{serving.server_port}"
    sealed = ENCRYPTION(load_example("space/attack.py").scene())
    body = io.BytesIO()
    sealed.save(body, "PNG")
    try:
        with load_example("space/serve.py").server(space, checkpoint, serving.server_port) as another:
            assert another.server_port not in (0, serving.server_port)
        with urllib.request.urlopen(f"{address}/hipmr.js") as answer:
            assert answer.headers["content-type"] == "text/javascript"
            assert answer.headers["permissions-policy"].startswith("camera=(self)")
        with urllib.request.urlopen(f"{address}/predict", data=body.getvalue()) as answer:
            assert json.load(answer) == classify(sealed)
        for refused, code in ((b"no picture", 400), (b"", 404)):
            with pytest.raises(urllib.error.HTTPError) as told:
                urllib.request.urlopen(urllib.request.Request(f"{address}/predict", data=refused))
            assert told.value.code == code and "error" in json.load(told.value)
    finally:
        serving.shutdown()
        serving.server_close()


def test_the_policy_of_a_built_page_reaches_its_endpoint_alone(checkpoint, tmp_path):
    build = load_example("space/build.py").build
    build(checkpoint, tmp_path / "page", name="x", endpoint="https://models.example.org/me/pevit")
    policy = re.search(r"connect-src ([^;]*);", (tmp_path / "page" / "index.html").read_text())
    assert policy and policy[1] == "'self' https://models.example.org"
    with pytest.raises(FileExistsError):
        build(checkpoint, tmp_path / "page", name="x")
