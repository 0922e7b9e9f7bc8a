"""README's way from pictures to a prediction, with its own commands: tiny pictures, few steps, no Hub."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
from datasets import load_dataset
from example_helpers import TINY_MODEL

from hipmr_hf.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {
    "hipmr": ["-c", "import sys; from hipmr_hf.cli import main; sys.exit(main())"],
    "accelerate": ["-m", "accelerate.commands.accelerate_cli"],
}
# What makes it small: 96 pixels instead of 224, two audited pictures, a tiny model, two steps.
SMALLER = {
    "hipmr encrypt": ["--image-size", "96"],
    "hipmr audit": ["--num-images", "2"],
    "accelerate launch": [*TINY_MODEL, "--max_steps", "2", "--use_cpu", "--report_to", "none"],
}


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of code in a section of README."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def commands(heading: str) -> list[list[str]]:
    """The commands in a section of README, as words."""
    lines = "".join(blocks(heading, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with `pictures/`, crops of scikit-learn's two photographs, `photo.jpg`, and the examples."""
    from sklearn.datasets import load_sample_image

    for name in ("china", "flower"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        photo = PIL.Image.fromarray(load_sample_image(f"{name}.jpg"))
        for i in range(20):
            left, top = 100 * (i % 5), 90 * (i // 5)
            crop = photo.crop((left, top, left + 160, top + 140))
            crop.save(tmp_path / "pictures" / name / f"john_doe_{i}.jpg", quality=95)
    crop.save(tmp_path / "photo.jpg")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def run(place) -> Callable[[list[str]], str]:
    """Run Python as a user of that folder who cannot reach the Hub."""
    home = {"HF_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    def python(words: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=place,
            env={**os.environ, **home, "ACCELERATE_USE_CPU": "true"},
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return python


@pytest.mark.slow
def test_the_way_of_readme_leads_from_pictures_to_a_prediction_without_the_hub(place, run):
    heading = "From a folder of pictures to a prediction"
    for program, *words in commands(heading):
        small = SMALLER.get(f"{program} {words[0]}", [])
        run([*PROGRAMS[program], *words, *small])
    client, server = blocks(heading, "python")
    run(["-c", client])
    answer = ast.literal_eval(run(["-c", server]).splitlines()[-1])

    assert {entry["label"] for entry in answer} == {"china", "flower"}
    assert sum(entry["score"] for entry in answer) == pytest.approx(1, abs=1e-3)
    assert (place / "audit" / "report.html").stat().st_size > 10_000
    again = load_dataset(str(place / "again"), cache_dir=str(place / "cache"))["train"]
    assert len(again) == 40 and again[0]["image"].size == (96, 96)
    with PIL.Image.open(place / "sent.png") as sent:
        assert sent.size == (24, 24)  # 12x12 patches of 8 pixels, of which 4 are lost and the rest is mixed
    for folder in ("encrypted", "locked", "pevit"):
        files = [path for path in (place / folder).rglob("*") if path.is_file()]
        assert files and not any(b"john_doe" in path.read_bytes() for path in files)


def test_over_the_hub_only_names_and_pushes_are_added():
    local = commands("From a folder of pictures to a prediction")
    encrypt, train = commands("The same over the Hub")
    assert encrypt == [*local[0], "--push-to-hub", "me/pictures", "--private"]
    renamed = ["me/pictures" if word == "encrypted" else word for word in local[2]]
    assert train == [*renamed, "--push_to_hub", "--hub_model_id", "me/pevit"]


@pytest.mark.parametrize("page", ["README.md", "docs/owner.md", "docs/builder.md", "docs/audit.md"])
def test_every_command_of_a_page_is_one_that_hipmr_understands(page):
    text = (ROOT / page).read_text()
    found = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(found).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    ours = [rest for program, *rest in filter(None, words) if program == "hipmr"]
    assert ours
    for arguments in ours:
        assert build_parser(arguments[0]).parse_args(arguments).run is not None
