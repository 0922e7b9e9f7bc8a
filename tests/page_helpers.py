"""What is on the page of sealed upload, as a browser shows it."""

import base64
from pathlib import Path

from browsers import Browser


def text_of(browser: Browser, selector: str) -> str:
    return browser.run("return document.querySelector(given).textContent", selector)


def drop(browser: Browser, path: Path, kind: str = "image/jpeg") -> None:
    """Drop a file onto the page, and wait for its encryption."""
    given = {"name": path.name, "kind": kind, "data": base64.b64encode(path.read_bytes()).decode()}
    body = """
        const bytes = Uint8Array.from(atob(given.data), (char) => char.charCodeAt());
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], given.name, { type: given.kind }));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
    """
    browser.run(body, given)
    browser("wait", body="!document.getElementById('found').hidden")


def ask(browser: Browser, where: str) -> list[tuple[str, float]]:
    """Predict "here" or at the "endpoint"; label and score of each answer."""
    choose = """
        document.querySelector(`[name=where][value=${given}]`).click();
        document.getElementById("answers").replaceChildren();
        document.getElementById("predict").click();
    """
    browser.run(choose, where)
    return answers_on(browser)


def answers_on(browser: Browser) -> list[tuple[str, float]]:
    browser("wait", body="document.querySelectorAll('#answers li').length > 0")
    return browser.run("""
        const lines = [...document.querySelectorAll("#answers li")];
        return lines.map((line) => [line.firstChild.data, Number(line.dataset.score)]);
    """)


def sent(browser: Browser) -> bytes:
    """The pixels of what the page offers for download, which is what leaves."""
    return pixels_of(browser, "sealed")


def pixels_of(browser: Browser, name: str) -> bytes:
    """The pixels of an image of the page."""
    return bytes(
        browser.run(
            """
            const image = document.getElementById(given);
            await image.decode();  // the picture before it is shown until then
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            const file = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return Array.from(file.data.filter((_, i) => i % 4 < 3));
        """,
            name,
        )
    )
