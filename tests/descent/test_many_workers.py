"""Many workers: a split problem is the whole one, and each method keeps to its theorem."""

import numpy as np
import pytest

from paper_code import Identity, RandK, SparseDithering, TopK
from paper_code.companion.data_sets import bundled
from paper_code.descent.many_workers import DIANA, EF21, DistributedCGD
from paper_code.descent.one_worker import CompressedGradientDescent, descend, normal_start
from paper_code.descent.split_problem import Split, split

UNBIASED, BIASED = SparseDithering(0.25, unbiased=True), SparseDithering(0.1)
SPLITS = [("ridge", True), ("ridge", False), ("logistic", True), ("logistic", False)]
each_split = pytest.mark.parametrize(("kind", "by_target"), SPLITS)
each_kind = pytest.mark.parametrize(("kind", "by_target"), SPLITS[::3])
START = normal_start(0, 10)
REPEATS = 20


@each_split
@pytest.mark.parametrize("n", [1, 3, 32])
def test_the_workers_hold_the_whole_problem(kind: str, by_target: bool, n: int) -> None:
    problem = bundled(kind, n, by_target=by_target)
    mean = problem.worker_gradients(START).mean(axis=0)
    np.testing.assert_allclose(mean, problem.gradient(START), rtol=1e-12, atol=1e-14)
    values = [part.value(START) for part in problem.parts]
    np.testing.assert_allclose(problem.weights @ values, problem.value(START), rtol=1e-12)
    assert np.linalg.norm(problem.worker_gradients(problem.minimiser).mean(axis=0)) < 1e-13
    # L_i bounds how much a worker's gradient can change.
    change = problem.worker_gradients(START) - problem.worker_gradients(problem.minimiser)
    far = np.linalg.norm(START - problem.minimiser)
    assert (np.linalg.norm(change, axis=1) <= problem.worker_L * far * (1 + 1e-12)).all()


def test_sorting_by_target_makes_workers_differ() -> None:
    def spread(by_target: bool) -> float:
        problem = bundled("logistic", 8, by_target=by_target)
        return float(np.mean(problem.worker_gradients(problem.minimiser) ** 2))

    assert spread(True) > 20 * spread(False)


def test_one_worker_is_plain_compressed_gradient_descent() -> None:
    problem = bundled("ridge", 1, by_target=False)
    many = descend(problem, DistributedCGD(BIASED), START, stop_error=1e-6)
    one = descend(problem.whole, CompressedGradientDescent(BIASED), START, stop_error=1e-6)
    np.testing.assert_array_equal(many.bits, one.bits)
    np.testing.assert_allclose(many.errors, one.errors, rtol=1e-9)


@each_split
def test_diana_and_ef21_arrive_where_compressed_gradient_descent_stalls(
    kind: str, by_target: bool
) -> None:
    problem = bundled(kind, 4, by_target=by_target)
    for method, arrives in (
        (DistributedCGD(UNBIASED), False),
        (DistributedCGD(BIASED), False),
        (DistributedCGD(Identity()), True),
        (DIANA(UNBIASED), True),
        (EF21(BIASED), True),
        (EF21(TopK(3)), True),
    ):
        rounds = 8000 if arrives else 600
        rng = np.random.default_rng(0)
        run = descend(problem, method, START, rng, stop_error=1e-8, rounds=rounds)
        assert (run.outcome == "reached") == arrives, (method, run.errors[-1])
        assert run.errors[-1] <= 1e-8 or run.errors[-300:].min() > 1e-7
        assert problem.n * 32 <= np.diff(run.bits).min() <= np.diff(run.bits).max()


@each_split
def test_ef21_is_within_its_rate_in_every_round(kind: str, by_target: bool) -> None:
    problem = bundled(kind, 4, by_target=by_target)
    far = START - problem.minimiser
    for compressor in (BIASED, TopK(3)):
        method = EF21(compressor)
        shifts = np.array([compressor(row) for row in problem.worker_gradients(START)])
        first = method.lyapunov(problem, START, shifts)
        run = descend(problem, method, START, stop_error=1e-8, rounds=8000)
        t = np.arange(len(run.errors))
        # mu/2 ||x - x*||^2 <= f(x) - f(x*) <= V; 1e-5 for gradients rounded to float32
        bound = 2 * first / problem.mu / (far @ far) * method.rate(problem) ** t
        assert run.outcome == "reached"
        assert (run.errors <= bound * (1 + 1e-5)).all()


@each_kind
@pytest.mark.parametrize("compressor", [UNBIASED, RandK(4)])
def test_diana_is_within_its_rate_in_the_mean(
    kind: str, by_target: bool, compressor: SparseDithering | RandK
) -> None:
    problem, rounds = bundled(kind, 4, by_target=by_target), 60
    method, far = DIANA(compressor), START - problem.minimiser
    first = method.lyapunov(problem, START, np.zeros((problem.n, problem.d))) / (far @ far)
    errors = np.array(
        [
            descend(
                problem, method, START, np.random.default_rng(seed), rounds=rounds, stop_error=0
            ).errors
            for seed in range(REPEATS)
        ]
    )
    # A mean of 20 runs against a bound of its expectation, 6 standard errors above: the mean of
    # positive errors is not quite normal, but lies below the bound by a factor, see the last line.
    slack = 6 * errors.std(axis=0, ddof=1) / np.sqrt(REPEATS)
    bound = first * method.rate(problem) ** np.arange(rounds + 1)
    assert (errors.mean(axis=0) <= bound + slack).all()
    assert errors.mean(axis=0)[-1] < 0.7 * bound[-1]


@each_kind
def test_distributed_cgd_ends_within_its_neighbourhood(kind: str, by_target: bool) -> None:
    problem = bundled(kind, 4, by_target=by_target)
    method, omega, far = DistributedCGD(UNBIASED), 0.25, START - problem.minimiser
    zeta = np.mean(np.sum(problem.worker_gradients(problem.minimiser) ** 2, axis=1))
    step = method.theoretical_step(problem)
    stall = 2 * step * omega * zeta / (problem.n * problem.mu) / (far @ far)
    run = descend(problem, method, START, np.random.default_rng(3), rounds=1200, stop_error=0)
    # 1000 rounds that forget each other in kappa of them: a mean twice its expectation is far off
    assert 0.01 * stall < run.errors[-1000:].mean() <= 2 * stall


def test_steps_of_theory_by_hand() -> None:
    problem = bundled("ridge", 4, by_target=True)
    L, most, spread = problem.L, problem.worker_L.max(), np.sqrt(np.mean(problem.worker_L**2))
    assert DistributedCGD(UNBIASED).theoretical_step(problem) == pytest.approx(1 / (L + most / 8))
    assert DistributedCGD(BIASED).theoretical_step(problem) == pytest.approx(1 / L)
    assert DIANA(UNBIASED).theoretical_step(problem) == pytest.approx(1 / (L + 1.5 * most / 4))
    assert DIANA(UNBIASED).memory(10) == 0.8
    root = np.sqrt(0.1)
    expected = 1 / (L + np.sqrt(2) * root / (1 - root) * spread)
    assert EF21(BIASED).theoretical_step(problem) == pytest.approx(expected)
    # Uncompressed, every method is gradient descent.
    assert EF21(TopK(10)).theoretical_step(problem) == pytest.approx(1 / L)


def test_what_does_not_fit_is_refused() -> None:
    problem = bundled("ridge", 4, by_target=True)
    with pytest.raises(ValueError, match="EF21 needs a contractive compressor"):
        descend(problem, EF21(UNBIASED), START, np.random.default_rng(0))
    with pytest.raises(ValueError, match="has no omega"):
        descend(problem, DIANA(BIASED), START)
    with pytest.raises(ValueError, match="step must be positive"):
        DIANA(UNBIASED, step=0.0)
    with pytest.raises(ValueError, match="n is 9; allowed are 1 to the number of samples, 3"):
        split("ridge", np.ones((3, 2)), np.ones(3), 9, 0.1, by_target=False)
    with pytest.raises(ValueError, match="kind must be 'ridge' or 'logistic', got 'lasso'"):
        split("lasso", np.ones((3, 2)), np.ones(3), 1, 0.1, by_target=False)
    with pytest.raises(ValueError, match="need 4 positive weights"):
        Split(problem.whole, problem.parts, np.ones(3))
