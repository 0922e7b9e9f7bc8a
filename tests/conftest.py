"""What several test files share: where real data lies, and a picture to encrypt, a Hub."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import measurement_data
import numpy as np
import pytest

# Nothing here is a claim about speed, and cores are shared.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and real data that stands beside some checkouts."""
    if not measurement_data.FOLDER.is_dir():
        pytest.skip(measurement_data.REASON)
    return measurement_data.FOLDER


@pytest.fixture
def photo() -> np.ndarray:
    """A real photograph that comes with scikit-learn: uint8 (427, 640, 3)."""
    from sklearn.datasets import load_sample_image

    return np.array(load_sample_image("china.jpg"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub, and this process as a client of it, logged in as "owner"."""
    import datasets
    import huggingface_hub
    import transformers
    from hub_server import HubServer
    from huggingface_hub import HfFileSystem, constants

    with HubServer(tmp_path / "hub") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.url)
        monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.url)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False, raising=False)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False, raising=False)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "home" / "datasets")
        monkeypatch.setenv("HF_TOKEN", "hf_owner")
        HfFileSystem.clear_instance_cache()
        yield server
        HfFileSystem.clear_instance_cache()
        assert server.unknown == [], "the client asked for what this Hub does not know"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Print what tests measured, and tell in one line, the last, what is skipped without measurement data.

    A test gives a figure to `record_property`, in whichever process it runs. Other skips are listed.
    """
    skipped = terminalreporter.stats.get("skipped", [])
    without_data = [report for report in skipped if measurement_data.REASON in str(report.longrepr)]
    terminalreporter.stats["skipped"] = [report for report in skipped if report not in without_data]
    yield
    terminalreporter.stats["skipped"] = skipped
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(text)
    if without_data:
        terminalreporter.write_line(
            f"{len(without_data)} tests were skipped because the measurement data is not here. That is fine: "
            "it is no part of this repository."
        )
