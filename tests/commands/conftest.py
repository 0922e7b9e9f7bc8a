from pathlib import Path

import datasets
import pytest
from command_helpers import CANARY, picture


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """A cache of its own, so that a test sees what a run leaves there."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "plain"
    for i in range(6):
        path = folder / ("cat", "dog")[i % 2] / f"{CANARY}_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    return folder
