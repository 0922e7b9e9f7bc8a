"""Which Ray is connected to; needs no Ray."""

import contextlib
import sys
from types import SimpleNamespace

import pytest

from hipmr_hf.dataset import ray_pool
from hipmr_hf.dataset.ray_pool import RayPool
from hipmr_hf.errors import InputValueError, UnreachableError


@pytest.fixture
def ray(monkeypatch):
    """A Ray that finds no cluster, and tells whether it was started here, and ended."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    told = []

    def init(address, **options):
        told.append(f"asked {address}")
        raise ConnectionError("could not connect")

    @contextlib.contextmanager
    def started_here(ray):
        told.append("started")
        yield 0o22
        told.append("ended")

    ray = SimpleNamespace(
        init=init,
        is_initialized=lambda: False,
        shutdown=lambda: told.append("left"),
        remote=lambda **options: lambda function: function,
        told=told,
    )
    monkeypatch.setattr(ray_pool, "_started_here", started_here)
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_without_a_named_cluster_this_machine_works_and_says_so(ray, caplog):
    """Nothing is asked for one: what answers may be anybody's."""
    RayPool().close()
    assert ray.told == ["started", "ended"]
    assert "RAY_ADDRESS names no cluster" in caplog.text


def test_a_cluster_that_anybody_can_have_named_is_refused(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(InputValueError, match=r"RAY_ADDRESS: got 'auto'.* HOST:PORT"):
        RayPool()
    assert ray.told == []


def test_a_cluster_that_was_named_is_joined_and_left(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    ray.init = lambda address, **options: ray.told.append(f"joined {address}")
    RayPool().close()
    assert ray.told == ["joined 10.0.0.1:6379", "left"]


def test_a_cluster_that_was_named_and_is_not_there_is_an_error(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UnreachableError, match=r"RAY_ADDRESS: no cluster at 10\.0\.0\.1:6379"):
        RayPool()
    assert ray.told == ["asked 10.0.0.1:6379"]


def test_nobody_looks_for_a_cluster_where_none_is_wanted(ray, monkeypatch, caplog):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    RayPool()
    assert ray.told == ["started"] and not caplog.text


def test_whoever_connected_also_ends_it(ray):
    ray.is_initialized = lambda: True
    RayPool().close()
    assert ray.told == []
