"""Ridge and logistic regression: derivatives, curvature and minimisers by their definitions."""

import numpy as np
import pytest

from paper_code.companion.data_sets import Moments
from paper_code.descent.problems import Logistic, Problem, Ridge

EPS = np.finfo(float).eps


def bodyfat() -> Ridge:
    m = Moments.read()
    return Ridge.from_moments(m.gram, m.moment, m.n, m.target_power)


def random_ridge() -> Ridge:
    rng = np.random.default_rng(1)
    return Ridge.from_data(rng.standard_normal((30, 5)), rng.standard_normal(30))


def random_logistic(scale: float = 1.0, regularisation: float = 0.01) -> Logistic:
    rng = np.random.default_rng(2)
    labels = np.sign(rng.standard_normal(40))
    return Logistic(scale * rng.standard_normal((40, 5)), labels, regularisation)


PROBLEMS = [bodyfat(), random_ridge(), random_logistic()]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=["bodyfat", "ridge", "logistic"])


@each_problem
def test_gradient_is_the_slope_of_the_value(problem: Problem) -> None:
    rng = np.random.default_rng(3)
    h = 1e-5  # central differences: truncation h^2 L, rounding eps f / h
    for x in rng.standard_normal((5, problem.d)):
        along = np.eye(problem.d) * h
        slope = (problem.value(x + along) - problem.value(x - along)) / (2 * h)
        allowed = h**2 * problem.L + 8 * EPS * problem.value(x) / h
        np.testing.assert_allclose(problem.gradient(x), slope, rtol=0, atol=allowed)


@each_problem
def test_many_points_at_once_are_the_points_one_by_one(problem: Problem) -> None:
    points = np.random.default_rng(4).standard_normal((2, 3, problem.d))
    flat = points.reshape(-1, problem.d)
    gradients = np.array([problem.gradient(x) for x in flat]).reshape(points.shape)
    values = np.array([problem.value(x) for x in flat]).reshape(2, 3)
    np.testing.assert_allclose(problem.gradient(points), gradients, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(problem.value(points), values, rtol=1e-12)


@each_problem
def test_gradient_vanishes_at_the_minimiser_to_rounding(problem: Problem) -> None:
    x = problem.minimiser
    # The gradient is a difference of numbers of the size L |x*|, or of 1 for logistic losses.
    rounding = 4 * problem.d * EPS * max(problem.L * np.linalg.norm(x), 1)
    assert np.linalg.norm(problem.gradient(x)) <= rounding


@pytest.mark.parametrize(("scale", "regularisation"), [(1.0, 1e-8), (1e3, 1e-6), (1e-3, 1.0)])
def test_newton_survives_steep_and_flat_losses(scale: float, regularisation: float) -> None:
    problem = random_logistic(scale, regularisation)
    assert np.linalg.norm(problem.gradient(problem.minimiser)) <= 64 * EPS * max(scale, 1)


def test_newton_on_separable_data_far_from_the_start() -> None:
    labels = np.array([1.0, -1.0] * 20)
    features = labels[:, None] * np.linspace(1, 2, 120).reshape(40, 3)
    problem = Logistic(features, labels, 1e-9)
    assert np.linalg.norm(problem.gradient(problem.minimiser)) <= 64 * EPS


def test_ridge_curvature_is_the_spectrum_of_its_hessian() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((30, 5)), rng.standard_normal(30)
    problem = Ridge.from_data(a, b)
    weight = np.linalg.norm(a, ord=2) ** 2 / 30**2
    spectrum = np.linalg.eigvalsh(a.T @ a / 30 + weight * np.eye(5))
    np.testing.assert_allclose([problem.mu, problem.L], spectrum[[0, -1]], rtol=1e-12)
    x = rng.standard_normal(5)
    loss = np.sum((a @ x - b) ** 2) / 60 + weight / 2 * x @ x
    np.testing.assert_allclose(problem.value(x), loss, rtol=1e-12)


def test_bodyfat_is_conditioned_as_in_the_paper() -> None:
    assert round(bodyfat().kappa) == 253  # calibrated


def test_logistic_curvature_bounds_every_hessian() -> None:
    problem = random_logistic()
    for size in (0, 0.1, 1, 10):
        x = size * np.random.default_rng(6).standard_normal(problem.d)
        spectrum = np.linalg.eigvalsh(problem.hessian(x))
        assert problem.mu * (1 - 1e-12) <= spectrum[0]
        assert spectrum[-1] <= problem.L * (1 + 1e-12)
    at_zero = np.linalg.eigvalsh(problem.hessian(np.zeros(problem.d)))[-1]
    np.testing.assert_allclose(at_zero, problem.L, rtol=1e-12)  # the bound is met at x = 0


def test_logistic_hessian_is_the_slope_of_the_gradient() -> None:
    problem, h = random_logistic(), 1e-5
    x = np.random.default_rng(7).standard_normal(problem.d)
    along = np.eye(problem.d) * h
    slope = (problem.gradient(x + along) - problem.gradient(x - along)) / (2 * h)
    np.testing.assert_allclose(problem.hessian(x), slope, atol=1e-9)


def test_logistic_losses_do_not_overflow() -> None:
    problem = Logistic(np.array([[1.0]]), np.array([1.0]), 0.01)
    x = np.array([-1e6])  # the loss is 1e6 where exp(1e6) would overflow
    np.testing.assert_allclose(problem.value(x), 1e6 + 0.005e12, rtol=1e-15)
    np.testing.assert_allclose(problem.gradient(x), [-1 - 1e4], rtol=1e-15)


def test_bad_problems_are_refused_by_name() -> None:
    square, vector = np.eye(2), np.ones(2)
    with pytest.raises(ValueError, match="gram must be a square matrix of the moment's length 3"):
        Ridge(square, np.ones(3), 1.0)
    with pytest.raises(ValueError, match="moment must be finite, got nan"):
        Ridge(square, np.array([1, np.nan]), 1.0)
    with pytest.raises(ValueError, match=r"regularisation must be positive and finite, got -1"):
        Ridge(square, vector, -1.0)
    with pytest.raises(TypeError, match="features must be a float64 array, got int64"):
        Logistic(np.ones((2, 2), dtype=np.int64), vector)
    with pytest.raises(ValueError, match=r"features must be 2-d and not empty, got shape \(0, 2\)"):
        Ridge.from_data(np.ones((0, 2)), vector)
    with pytest.raises(ValueError, match="features has 2 rows but target has 3"):
        Ridge.from_data(square, np.ones(3))
    with pytest.raises(ValueError, match=r"labels must be -1 or 1, got \[0\. 1\.\]"):
        Logistic(square, np.array([0.0, 1.0]))
