"""Serve the page of sealed upload on this machine alone, with a pipeline of transformers behind it.

    python examples/space/serve.py outputs/space outputs/quickstart/pevit

It prints the address. What the page POSTs to /predict is answered as by the Hub's image-classification API,
by the handler of `examples/endpoint`, which refuses plain pictures. It is for a look: no access control, no
encryption in transit, loopback only.
"""

import argparse
import functools
import json
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hipmr_hf  # noqa: F401  with it, transformers knows PEViT

sys.path.append(str(Path(__file__).resolve().parents[1] / "endpoint"))
from handler import MOST_BYTES, EndpointHandler

ENDPOINT = "/predict"
# Beside the policy that stands in the page itself.
HEADERS = {
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "x-content-type-options": "nosniff",
}


class Handler(SimpleHTTPRequestHandler):
    """The folder's files, and a model."""

    def __init__(self, *args: Any, classify: Any, **kwargs: Any) -> None:
        self.classify = classify
        super().__init__(*args, **kwargs)

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        if self.path != ENDPOINT or not 0 < size <= MOST_BYTES:
            self.answer(404, {"error": f"POST a picture of at most {MOST_BYTES} bytes to {ENDPOINT}"})
            return
        try:
            self.answer(200, self.classify({"inputs": self.rfile.read(size)}))
        except ValueError as error:  # no picture, a plain one, or one that was not encrypted for this model
            self.answer(400, {"error": str(error)})

    def answer(self, code: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep no account of who asked what."""


Handler.extensions_map |= {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


def server(page: Path, checkpoint: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server on loopback; port 0 takes a free one, and so does one that is taken."""
    classify = EndpointHandler(str(checkpoint))
    handler = functools.partial(Handler, directory=str(page), classify=classify)
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path, help="a folder that build.py wrote")
    parser.add_argument("checkpoint", type=Path, help="what answers")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    for folder, file in ((args.page, "page.json"), (args.checkpoint, "config.json")):
        if not (folder / file).is_file():
            parser.error(f"{folder} holds no {file}; build the page with examples/space/build.py first.")
    with server(args.page, args.checkpoint, args.port) as serving:
        print(f"http://127.0.0.1:{serving.server_port}/  (Ctrl+C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
