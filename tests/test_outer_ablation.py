"""The theory of outer steps in examples/outer_ablation.py: what diverges, which defaults hold."""

import numpy as np
import pytest
from outer_ablation import MOMENTUM, WORKERS, Recipe, spectral_radius

from paper_code.distributed.outer_step import step_size

ALPHAS = [0.1, 0.3, 0.5, 0.7, 0.9, 0.97]


def test_momentum_and_memories_at_both_stages_diverge_at_strong_compression_only() -> None:
    """As was first seen in training: alpha = .9 diverged, .2 did not."""
    assert spectral_radius(Recipe(0.9, feedback="all stages", **MOMENTUM)) > 1.1
    assert spectral_radius(Recipe(0.2, feedback="all stages", **MOMENTUM)) < 1


def test_memory_at_one_stage_is_momentum() -> None:
    """The roots of z^2 - (1 + alpha - (1 - alpha) curvature) z + alpha, the heavy ball's."""
    alpha = 0.8
    roots = np.roots([1, -(1 + alpha - (1 - alpha)), alpha])
    recipe = Recipe(alpha, 1, "all stages", lr=1.0, decay=1.0)
    assert spectral_radius(recipe) == pytest.approx(np.abs(roots).max())


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize(
    ("decay", "evenly_of"), [(0.9, None), (0.5, 2), (0.5, WORKERS), (0.5, 1000)]
)
def test_the_defaults_converge_at_every_curvature(
    alpha: float, stages: int, decay: float, evenly_of: int | None
) -> None:
    """The more workers, the less noise and the larger the steps."""
    recipe = Recipe(alpha, stages, lr=step_size(alpha, decay, stages, evenly_of), decay=decay)
    assert max(spectral_radius(recipe, c) for c in np.linspace(0.02, 2 - 1e-6, 50)) < 1


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("stages", [1, 2])
def test_the_step_size_makes_up_for_the_decay(alpha: float, stages: int) -> None:
    """The changes in x that last are taken on in full by a stage of codes that are not even."""
    recipe = Recipe(alpha, stages, decay=0.9, compressor="trellis")
    passed = (1 - alpha) / (1 - alpha * recipe.decay)
    assert recipe.step_size * passed == pytest.approx(1)


@pytest.mark.parametrize("alpha", [*ALPHAS, 0.983])
def test_one_stage_converges_without_carrying_a_memory_that_decays(alpha: float) -> None:
    """The recipe for few coordinates of each chunk: momentum of .8 alpha at most."""
    recipe = Recipe(alpha, 1, "all stages", step_size(alpha, 0.8, stages=1), decay=0.8)
    radii = [spectral_radius(recipe, c) for c in np.linspace(0.02, 2, 50)]
    assert max(radii) < 1
    assert min(radii) == pytest.approx((0.8 * alpha) ** 0.5)
