"""Which Ray is connected to; needs no Ray."""

from types import SimpleNamespace

import pytest

from hipmr_hf import ray_calls


@pytest.fixture
def ray(monkeypatch):
    """A Ray that finds no cluster, and tells whether it was started here."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    started = []

    def init(address, **options):
        raise ConnectionError("could not connect")

    monkeypatch.setattr(ray_calls, "_start_here", started.append)
    return SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None, started=started)


def test_without_a_cluster_this_machine_works_and_says_so(ray, caplog):
    with ray_calls.connected(ray):
        assert ray.started == [ray]
    assert "No Ray cluster runs here" in caplog.text


def test_a_cluster_that_was_named_and_is_not_there_is_an_error(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with (
        pytest.raises(ConnectionError, match=r"RAY_ADDRESS: no cluster at 10\.0\.0\.1:6379"),
        ray_calls.connected(ray),
    ):
        pass
    assert ray.started == []


def test_nobody_looks_for_a_cluster_where_none_is_wanted(ray, monkeypatch, caplog):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with ray_calls.connected(ray):
        assert ray.started == [ray] and not caplog.text
