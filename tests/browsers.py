"""Real browsers, and a site on loopback that notes every request they make."""

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from typing import Any, NamedTuple

from client_helpers import CLIENT, find_node, find_tool, skip_loudly

PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "firefox": ("firefox-esr", "firefox"),
}


class Request(NamedTuple):
    """What a browser asked for."""

    method: str
    path: str
    headers: str
    body: bytes

    def everything(self) -> bytes:
        return f"{self.method} {self.path}\n{self.headers}".encode() + self.body


class Site:
    """Serves a folder, and files that a test adds; `answers` are for POST."""

    def __init__(self, folder: Path = CLIENT) -> None:
        self.folder, self.files = folder, {}
        self.answers: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.note(self, b"")
                name = self.path.split("?")[0].lstrip("/")
                path = site.folder / name
                body = site.files.get(name)
                if body is None and path.is_file():
                    body = path.read_bytes()
                kind = "text/javascript" if name.endswith(".mjs") else guess_type(name)[0] or "text/html"
                self.reply(404 if body is None else 200, body or b"", kind)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                site.note(self, body)
                answer = site.answers[self.path]
                said = answer(body) if callable(answer) else answer
                self.reply(200, json.dumps(said).encode(), "application/json")

            def reply(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                for name, value in site.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Keep tests quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.requests.append(Request(handler.command, handler.path, str(handler.headers), body))

    def beyond_own_files(self) -> list[str]:
        """Tell what was asked for beside the page's own files, which a browser fetches when it likes."""
        return [
            f"{request.method} {request.path}"
            for request in self.requests
            if request.method != "GET" or not (self.folder / request.path.lstrip("/")).is_file()
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """A browser without a window, driven by `clients/browser/tests/browser.mjs`."""

    def __init__(self, name: str, camera: str = "") -> None:
        node = find_node()
        find_tool("puppeteer-core")
        program = next(filter(None, map(shutil.which, PROGRAMS[name])), None)
        if program is None:
            skip_loudly(
                f"{name} is not installed, so pages were NOT tried in it; apt-get install {PROGRAMS[name][0]}"
            )
        self.name = name
        self.process = subprocess.Popen(
            [node, str(CLIENT / "tests" / "browser.mjs"), name, str(program), camera],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self("version")

    def __call__(self, call: str, **asked: Any) -> Any:
        self.process.stdin.write(json.dumps({"call": call, **asked}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} did not start or stopped while it did {call}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{call}: {answer['error']}")
        return answer["result"]

    def run(self, body: str, given: Any = None) -> Any:
        """Run the body of an async function of `given` in the page."""
        return self("run", body=body, given=given)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
