"""Where the measurement data lies: golden numbers and real pictures, which stand beside some checkouts."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared"
GOLDEN, PICTURES = FOLDER / "golden", FOLDER / "data"
REASON = "needs the measurement data beside the checkout"
needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
