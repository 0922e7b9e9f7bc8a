"""Build the page of sealed upload for one model: static files, ready for a Space or any web server.

    hipmr export outputs/quickstart/pevit --output-dir outputs/exported
    python examples/space/build.py outputs/exported --output_dir outputs/space
    hf upload me/sealed-upload outputs/space . --repo-type space

CHECKPOINT is a folder of PEViT with its encryption's settings. Where it holds `onnx/model.onnx`, as
`hipmr export` writes it, the page runs the model itself, with ONNX Runtime from npm; nothing is sent then.
With --endpoint the page can ask a server that speaks the Hub's image-classification API, and no other. The
page shows what an attacker makes of an example under the model's settings: a drawn scene, or --example, a
picture that everybody who sees the page may see.
"""

import argparse
import html
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from hipmr_hf import Encryption
from hipmr_hf.encryption.weaknesses import weaknesses
from hipmr_hf.hub.limits import what_is_not_protected, what_viewers_see
from hipmr_hf.layout import SETTINGS_FILE

sys.path.append(str(Path(__file__).resolve().parent))
from attack import FOLDER, measured_figures, scene, show_what_is_left

PAGE = Path(__file__).resolve().parents[2] / "clients" / "browser"
PAGE_FILES = ("index.html", "page.css", "page.js", "predict.js", "hipmr.js", "icon.svg")
MODEL_FILES = (SETTINGS_FILE, "config.json", "preprocessor_config.json")
ONNX = "onnx/model.onnx"
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SPACE_CARD = """---
title: {name}, sealed upload
sdk: static
app_file: index.html
---

Pictures are encrypted in the page, as the training pictures of this model were. It is perceptual
encryption: the page says what is left in what leaves.
"""


def what_is_left(encryption: Encryption) -> dict[str, Any]:
    """What a card says of such pictures, for the page: to the eye, and to attackers that were measured."""
    seen = what_viewers_see(encryption)
    weak = [f"These settings hide next to nothing: {weakness}." for weakness in weaknesses(encryption)]
    return {
        "viewers": f"{seen[0].upper()}{seen[1:]}." if not weak else "",
        "limits": [*weak, *what_is_not_protected(encryption)],
        "figures": measured_figures(encryption),
    }


def fetch_runtime(folder: Path) -> None:
    """Put ONNX Runtime's files there, from npm."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            ["npm", "pack", RUNTIME, "--silent", "--prefer-offline", "--fetch-retries=1"],
            cwd=place,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(place).glob("*.tgz")
        with tarfile.open(archive) as packed:
            for name in RUNTIME_FILES:
                member = packed.extractfile(f"package/dist/{name}")
                if member is None:
                    raise FileNotFoundError(f"{RUNTIME} holds no {name}")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(member.read())


def allow(page: str, endpoint: str | None) -> str:
    """Let the page's policy reach the endpoint's origin, where that is another one."""
    address = urlsplit(endpoint or "")
    if not address.netloc:
        return page
    origin = html.escape(f"{address.scheme}://{address.netloc}", quote=True)
    allowed = page.replace("connect-src 'self'", f"connect-src 'self' {origin}", 1)
    if allowed == page:
        raise ValueError("index.html has no connect-src to widen")
    return allowed


def build(
    checkpoint: Path,
    output: Path,
    *,
    name: str,
    endpoint: str | None = None,
    example: Image.Image | None = None,
) -> bool:
    """Build the folder; tells whether the page runs the model itself."""
    (output / "model").mkdir(parents=True)
    for file in PAGE_FILES:
        shutil.copy(PAGE / file, output / file)
    (output / "index.html").write_text(allow((PAGE / "index.html").read_text(), endpoint))
    for file in MODEL_FILES:
        shutil.copy(checkpoint / file, output / "model" / file)
    in_page = (checkpoint / ONNX).is_file() and shutil.which("npm") is not None
    if in_page:
        shutil.copytree(checkpoint / "onnx", output / "model" / "onnx")
        fetch_runtime(output / "ort")
    encryption = Encryption.from_pretrained(checkpoint)
    left = {"example": show_what_is_left(encryption, output / FOLDER, example or scene())}
    about = {"name": name, "model": "./model", "endpoint": endpoint, "onnx": in_page}
    (output / "page.json").write_text(json.dumps(about | what_is_left(encryption) | left, indent=1) + "\n")
    (output / "README.md").write_text(SPACE_CARD.format(name=name))
    return in_page


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--endpoint", help="address of a server that classifies what is POSTed to it")
    parser.add_argument("--example", type=Path, help="a public picture to attack; a drawn scene by default")
    parser.add_argument("--name", help="what the page calls the model; the folder's name by default")
    args = parser.parse_args()
    if missing := [file for file in MODEL_FILES if not (args.checkpoint / file).is_file()]:
        parser.error(
            f"checkpoint: {args.checkpoint} lacks {', '.join(missing)}; name a folder that "
            "examples/run_image_classification.py or hipmr export wrote."
        )
    if args.output_dir.exists() and any(args.output_dir.iterdir()):
        parser.error(f"--output_dir: {args.output_dir} is not empty; remove it or name another.")
    name = args.name or args.checkpoint.resolve().name
    example = Image.open(args.example) if args.example else None
    in_page = build(args.checkpoint, args.output_dir, name=name, endpoint=args.endpoint, example=example)
    if not in_page:
        needed = "npm" if (args.checkpoint / ONNX).is_file() else f"{ONNX}, which hipmr export writes"
        print(f"The page does not run the model itself, for there is no {needed}.")
    print(f"page    {args.output_dir}")


if __name__ == "__main__":
    main()
