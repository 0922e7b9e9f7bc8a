"""The first second of a command: what a plain folder needs is imported, and nothing besides."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

# Each takes a tenth of a second or more, and encrypting a folder of pictures needs none of them.
LATE = ("datasets", "pandas", "huggingface_hub", "asyncio", "httpx", "cryptography", "xml", "pyarrow.compute")
# And these some hundredths each.
LATE += ("tqdm", "jinja2", "numpy.random", "importlib.metadata", "numba")
RUN = """
import sys
from hipmr_hf.cli import main
code = main(sys.argv[1:])
print(sorted(set({late!r}) & set(sys.modules)))
sys.exit(code)
"""


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_encrypting_a_folder_imports_what_it_needs(image_format, tmp_path: Path):
    for name in ("cat/1.jpg", "dog/1.png"):
        (tmp_path / "plain" / name).parent.mkdir(parents=True)
        PIL.Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "plain" / name)
    arguments = ["encrypt", tmp_path / "plain", "--output-dir", tmp_path / "out"]
    arguments += ["--image-format", image_format]
    command = [sys.executable, "-c", RUN.format(late=LATE), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
