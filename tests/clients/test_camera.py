"""The page's camera in real browsers: a picture is taken and sealed, the camera stops, and nothing leaves."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from browsers import Browser, Site
from client_helpers import CLIENT, load_example
from page_helpers import pixels_of, sent, text_of

from hipmr_hf import RandomShuffling

ENCRYPTION = RandomShuffling(64, 16)
OPEN = "document.getElementById('viewfinder').open && !document.getElementById('take').disabled"
WITHOUT = "choose a picture instead."


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The page as the demo serves it, its headers included; nobody is asked to predict."""
    site = Site(CLIENT)
    site.headers = load_example("space/serve.py").HEADERS
    about = {"name": "a model", "model": "./model", "endpoint": "/predict", "onnx": False}
    site.files["page.json"] = json.dumps(about).encode()
    site.files["model/encryption_config.json"] = json.dumps(ENCRYPTION.to_dict()).encode()
    yield site
    site.close()


def page_with(name: str, camera: str, address: str) -> Browser:
    browser = Browser(name, camera)
    browser("open", url=f"{address}/index.html")
    browser("wait", body="!document.getElementById('file').disabled")
    return browser


def click(browser: Browser, name: str) -> None:
    browser.run("document.getElementById(given).click()", name)


def patches(image: np.ndarray) -> list[bytes]:
    rows, columns = (side // 16 for side in image.shape[:2])
    grid = image.reshape(rows, 16, columns, 16, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)
    return sorted(patch.tobytes() for patch in grid)


@pytest.mark.parametrize("name", ["chromium", "firefox"])
def test_a_picture_is_taken_and_sealed_and_the_camera_stops(name, site, tmp_path):
    browser = page_with(name, "fake", site.url)
    site.requests.clear()
    try:
        click(browser, "camera")
        click(browser, "camera")  # an impatient second click opens nothing
        browser("wait", body=OPEN)
        browser.run("globalThis.tracks = document.getElementById('video').srcObject.getTracks()")
        assert browser.run("return tracks.map((track) => track.kind + ' ' + track.readyState)") == [
            "video live"
        ]
        click(browser, "take")
        browser("wait", body="!document.getElementById('found').hidden")
        assert text_of(browser, "#problem") == ""
        assert browser.run("return tracks.map((track) => track.readyState)") == ["ended"]
        assert not browser.run("return document.getElementById('viewfinder').open")
        size = browser.run(
            "const { naturalWidth, naturalHeight } = document.getElementById('plain');"
            "return [naturalHeight, naturalWidth, 3]"
        )
        taken = np.frombuffer(pixels_of(browser, "plain"), np.uint8).reshape(size)
        sealed = np.frombuffer(sent(browser), np.uint8).reshape(64, 64, 3)
        assert taken.std() > 1 and patches(sealed) == patches(ENCRYPTION.prepare(taken))

        click(browser, "camera")
        browser("wait", body=OPEN)
        browser.run("globalThis.tracks = document.getElementById('video').srcObject.getTracks()")
        browser("press", key="Escape")
        browser("wait", body="tracks.every((track) => track.readyState === 'ended')")
        assert site.beyond_own_files() == []
    finally:
        browser.close()


@pytest.mark.parametrize(("camera", "told"), [("denied", "may not use the camera"), ("", "has no camera")])
@pytest.mark.parametrize("name", ["chromium", "firefox"])
def test_without_a_camera_the_page_says_why_and_works(name, camera, told, site):
    browser = page_with(name, camera, site.url)
    try:
        click(browser, "camera")
        browser("wait", body="!document.getElementById('problem').hidden")
        said = text_of(browser, "#problem")
        assert told in said and said.endswith(WITHOUT), said
        assert not browser.run("return document.getElementById('camera').disabled")
        if camera:
            return
        unsafe = site.url.replace("127.0.0.1", "unsafe.test")
        browser("open", url=f"{unsafe}/index.html")
        browser("wait", body="!document.getElementById('file').disabled")
        click(browser, "camera")
        browser("wait", body="!document.getElementById('problem').hidden")
        said = text_of(browser, "#problem")
        assert "loaded over https or from localhost" in said and said.endswith(WITHOUT)
        seal(browser)
        assert len(sent(browser)) == 64 * 64 * 3
        assert browser.run("return document.getElementById('digest').closest('div').hidden")
    finally:
        browser.close()


def seal(browser: Browser) -> None:
    """A page that was loaded without https seals all the same: that needs no key."""
    browser.run("""
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").fillRect(0, 0, 45, 90);
        const transfer = new DataTransfer();
        const blob = await new Promise((resolve) => canvas.toBlob(resolve));
        transfer.items.add(new File([blob], "dropped.png", { type: "image/png" }));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
    """)
    browser("wait", body="!document.getElementById('found').hidden")
