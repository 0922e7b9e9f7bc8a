"""Patches that are equal count as one another."""

import numpy as np
import pytest

from hipmr_hf.metrics.alike_patches import pairs_of_kinds, share_alike
from hipmr_hf.metrics.patch_order import order_scores


def test_without_equal_patches_it_is_the_usual_share_of_neighbours():
    rng = np.random.default_rng(0)
    truth, found = rng.permutation(12), np.arange(12)
    found[:8] = truth[:8]
    found[8:] = np.setdiff1d(np.arange(12), truth[:8])
    true, put = (pairs_of_kinds(np.arange(12), cells, (3, 4)) for cells in (truth, found))
    assert share_alike(put, true) == pytest.approx(order_scores(found, truth, (3, 4))["neighbour"])


def test_blank_patches_may_be_exchanged():
    kinds, truth = np.array([0, 0, 1, 2]), np.array([0, 1, 2, 3])
    exchanged = pairs_of_kinds(kinds, truth[[1, 0, 2, 3]], (2, 2))
    assert share_alike(exchanged, pairs_of_kinds(kinds, truth, (2, 2))) == 1
    moved = pairs_of_kinds(kinds, truth[[2, 1, 0, 3]], (2, 2))
    assert share_alike(moved, pairs_of_kinds(kinds, truth, (2, 2))) < 1


def test_nothing_to_find_is_nothing_found():
    empty = pairs_of_kinds(np.array([0]), np.array([0]), (1, 1))
    assert share_alike(empty, empty) == 0
