"""What several test files share: where real data lies, and a picture to encrypt."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and real data that stands beside some checkouts."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of golden numbers and real data beside the checkout")
    return SHARED


@pytest.fixture
def photo() -> np.ndarray:
    """A real photograph that comes with scikit-learn: uint8 (427, 640, 3)."""
    from sklearn.datasets import load_sample_image

    return np.array(load_sample_image("china.jpg"))


def pytest_terminal_summary(terminalreporter):
    """Print what tests measured and gave to `record_property` as a figure, in whichever process they ran."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(text)
