"""What attackers that put patches in order share: the solver, when it applies, and their record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..attacks.base import grid_shape, join_patches, split_mosaic
from ..attacks.jigsaw.solver import JigsawAttack, JigsawResult
from .records import ORDER, AttackRecord, means, picture_scores, record_of

if TYPE_CHECKING:
    from .bench import Bench


def solver(bench: Bench) -> JigsawAttack:
    """The jigsaw solver at the audit's effort."""
    effort = bench.effort
    return JigsawAttack(bench.encryption, rounds=effort.rounds, steps=effort.steps, seed=bench.seed)


def cannot_solve(bench: Bench) -> str | None:
    """Tell why there is no puzzle to solve, or None."""
    if not bench.shuffled:
        return "patches stand in their places"
    if bench.encryption.encrypted_patch_size < 2:
        return "encrypted patches are one pixel wide and have no borders; position and linkage still apply"
    return None


def order_record(
    bench: Bench, results: Sequence[JigsawResult], *, measure: str = "neighbour", **described: Any
) -> AttackRecord:
    """Gather results of an attacker that puts patches in order."""
    return record_of(
        results,
        bench.plain,
        bench.others,
        kind=ORDER,
        measure=measure,
        baselines=perfect_order(bench),
        **described,
    )


def perfect_order(bench: Bench) -> dict[str, dict[str, float]]:
    """How like the plain image the encrypted patches look when all are in their places."""
    shape, size = grid_shape(bench.encryption), bench.encryption.encrypted_patch_size
    looks = [
        picture_scores(join_patches(split_mosaic(image, size), truth, shape), plain)
        for image, truth, plain in zip(bench.sample.images, bench.sample.positions, bench.plain, strict=True)
    ]
    return {"all patches in their places": means(looks)}
