"""Builders' examples have no way to plain pictures; what has one lies in `examples/owner`."""

import ast

import pytest
from example_helpers import EXAMPLES

BUILDERS = sorted(EXAMPLES.glob("run_*.py"))
PLAIN = (
    "hipmr_hf.images",
    "hipmr_hf.dataset",
    "hipmr_hf.encryption.boxes",
    "hipmr_hf.encryption.masks",
    "hipmr_hf.privacy_report",
    "hipmr_hf.training.owners_view",
    "hipmr_hf.training.plain_segmentation",
)
OWNERS_NAMES = {
    "encrypt_dataset",
    "save_encrypted_dataset",
    "prepare",
    "move_objects",
    "move_mask",
    "load_upright",
}


def imported(source: str) -> set[str]:
    """Every module or name that a script imports, in full."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def way_to_plain_pictures(source: str) -> list[str]:
    """What of a script could read, prepare or encrypt plain pictures."""
    names = imported(source)
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    ways = [name for name in names if name.startswith(PLAIN) or name.split(".")[-1] in OWNERS_NAMES]
    return sorted(ways) + sorted(used & OWNERS_NAMES)


def test_there_are_builders_examples():
    assert {"run_image_classification.py", "run_object_detection.py"} <= {path.name for path in BUILDERS}


@pytest.mark.parametrize("script", BUILDERS, ids=lambda path: path.name)
def test_a_builders_example_has_no_way_to_plain_pictures(script):
    # Accelerate's loop calls the accelerator's own `prepare`
    ways = way_to_plain_pictures(script.read_text().replace("accelerator.prepare(", "accelerator("))
    assert ways == []


def test_the_reader_sees_every_way():
    """On the owner's examples, which must have one, and on each form of it."""
    for script in (
        "encrypt_dataset.py",
        "train_plain_yolos.py",
        "train_plain_segmenter.py",
        "draw_detections.py",
        "draw_segments.py",
        "run_privacy_audit.py",
    ):
        assert way_to_plain_pictures((EXAMPLES / "owner" / script).read_text()), script
    for line in (
        "import hipmr_hf.images.reading",
        "from hipmr_hf.encryption.boxes import move_boxes",
        "from hipmr_hf import encrypt_dataset",
        "encryption.prepare(image)",
        "def f():\n    from hipmr_hf.dataset import source",
    ):
        assert way_to_plain_pictures(line), line
