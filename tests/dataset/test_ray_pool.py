"""Which Ray is connected to; needs no Ray."""

import sys
from types import SimpleNamespace

import pytest

from hipmr_hf.dataset import ray_pool
from hipmr_hf.dataset.ray_pool import RayPool
from hipmr_hf.errors import UnreachableError


@pytest.fixture
def ray(monkeypatch):
    """A Ray that finds no cluster, and tells whether it was started here, and ended."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    told = []

    def init(address, **options):
        raise ConnectionError("could not connect")

    ray = SimpleNamespace(
        init=init,
        is_initialized=lambda: False,
        shutdown=lambda: told.append("ended"),
        remote=lambda **options: lambda function: function,
        told=told,
    )
    monkeypatch.setattr(ray_pool, "_start_here", lambda ray: told.append("started"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_without_a_cluster_this_machine_works_and_says_so(ray, caplog):
    RayPool().close()
    assert ray.told == ["started", "ended"]
    assert "No Ray cluster runs here" in caplog.text


def test_a_cluster_that_was_named_and_is_not_there_is_an_error(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UnreachableError, match=r"RAY_ADDRESS: no cluster at 10\.0\.0\.1:6379"):
        RayPool()
    assert ray.told == []


def test_nobody_looks_for_a_cluster_where_none_is_wanted(ray, monkeypatch, caplog):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    RayPool()
    assert ray.told == ["started"] and not caplog.text


def test_whoever_connected_also_ends_it(ray):
    ray.is_initialized = lambda: True
    RayPool().close()
    assert ray.told == []
