"""The layer law: who may import whom, so that the owner's side stays light and the builder's side blind."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hipmr_hf

PACKAGE = Path(hipmr_hf.__file__).parent


def imported_parts(file: Path) -> set[str]:
    """Parts of hipmr_hf that a file imports, at any depth of nesting, such as {"keys", "models"}."""
    here = ("hipmr_hf", *file.relative_to(PACKAGE).parts[:-1])
    parts = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            names = [module] if node.module else [f"{module}.{alias.name}" for alias in node.names]
            if module == "hipmr_hf":
                names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("hipmr_hf.")}
    return parts


def files_of(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.glob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


def parts_of(part: str) -> set[str]:
    return set().union(*(imported_parts(file) for file in files_of(part))) - {part}


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "attacks").mkdir()
    file = tmp_path / "attacks" / "one.py"
    file.write_text(
        "from .. import keys, patches\nfrom ..encryption.base import X\nimport hipmr_hf.models.y\n"
        "from hipmr_hf import cards\ndef f():\n    from . import base\n"
    )
    assert imported_parts(file) == {"keys", "patches", "encryption", "models", "cards", "attacks"}


@pytest.mark.parametrize(
    ("part", "allowed"),
    [
        ("patches", set()),
        ("keys", set()),
        ("image_reading", set()),
        ("models", set()),
        ("augmentation", set()),
        ("metrics", set()),
        ("encryption", {"patches", "keys"}),
        ("training", {"encryption", "models"}),
    ],
)
def test_a_part_imports_only_what_its_layer_may(part, allowed):
    assert parts_of(part) <= allowed


def test_attacks_take_models_as_arguments():
    assert not parts_of("attacks") & {"models", "training"}


def test_nothing_imports_the_command_line():
    for file in PACKAGE.rglob("*.py"):
        if file.name != "cli.py" and "commands" not in file.parts:
            assert not imported_parts(file) & {"cli", "commands"}, file


def test_the_builders_side_has_no_way_to_plain_images():
    """What reads plain pictures or writes encrypted ones is out of reach of models and training."""
    owner = {"image_reading", "encrypted_dataset", "row_encryption", "boxes"}
    for part in ("models", "training", "augmentation", "metrics"):
        assert not parts_of(part) & owner


@pytest.mark.parametrize(
    "module",
    [
        "hipmr_hf",
        "hipmr_hf.encryption",
        "hipmr_hf.images.reading",
        "hipmr_hf.dataset.mapping",
        "hipmr_hf.cli",
    ],
)
def test_the_owners_side_imports_no_torch_and_no_transformers(module):
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves():
    for name in hipmr_hf.__all__:
        assert getattr(hipmr_hf, name).__name__ == name
    assert set(hipmr_hf.__all__) <= set(dir(hipmr_hf))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = hipmr_hf.Nothing
