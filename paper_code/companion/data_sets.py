"""The two data sets of the paper's experiments, and the problems that are made of them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..descent.problems import Logistic, Ridge
from ..descent.split_problem import Split, split
from .download import BODYFAT, BREAST_CANCER, DataUnavailable, find_table, say

MOMENTS_FILE = Path(__file__).with_name("bodyfat_moments.json")  # part of the package


@dataclass(frozen=True)
class Source:
    """Where the data of an experiment came from, in words for a figure's title.

    ``is_stand_in`` is true when they are not the paper's, so that its curves do not apply.
    """

    description: str
    is_stand_in: bool = False

    def __str__(self) -> str:
        return self.description

    @property
    def title(self) -> str:
        """For a figure: the same wherever the paper's data were found, and plain about others."""
        return self.description if self.is_stand_in else "the paper's data"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples: ``features`` of shape (n, d) as published, not scaled, and ``target`` of shape (n,).

    The target is the density for Body-Fat, and 1 (malignant) or -1 (benign) for Breast-Cancer.
    """

    name: str
    features: NDArray[np.float64]
    target: NDArray[np.float64]
    source: Source


@dataclass(frozen=True, eq=False)
class Moments:
    """All that ridge regression sees of n samples: A^T A / n, A^T b / n and b^T b / n."""

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]
    target_power: float
    n: int

    @classmethod
    def of(cls, data: Dataset) -> Moments:
        """Moments whose sums are rounded once, whatever the machine and its linear algebra.

        So a fetched copy of the data and the committed moments agree to the last bit.
        """
        columns = [*data.features.T, data.target]
        n = len(data.target)
        table = np.array([[math.fsum(a * b) / n for b in columns] for a in columns])
        return cls(table[:-1, :-1].copy(), table[:-1, -1].copy(), float(table[-1, -1]), n)

    @classmethod
    def read(cls, path: Path = MOMENTS_FILE) -> Moments:
        """Moments from JSON; raises DataUnavailable, one line, if they cannot be read."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            gram, moment = np.array(record["gram"]), np.array(record["moment"])
            return cls(gram, moment, float(record["target_power"]), int(record["n"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise DataUnavailable(f"no moments in {path.name} ({reason})") from error


def load(name: Literal["bodyfat", "breast-cancer"]) -> Dataset:
    """A data set of the paper, checked by its content; paper, experiments.

    Looks where ``download.find_table`` says. Breast-Cancer has a stand-in, scikit-learn's bundled
    set; for Body-Fat DataUnavailable is raised, but ``ridge_problem`` needs only its moments.
    Raises ValueError for another name.
    """
    if name == "bodyfat":
        values, origin = find_table(BODYFAT)
        return Dataset(name, values[:, 1:].copy(), values[:, 0].copy(), Source(f"from {origin}"))
    if name == "breast-cancer":
        try:
            values, origin = find_table(BREAST_CANCER)
        except DataUnavailable as missing:
            say(f"{missing}. Using the breast-cancer set of scikit-learn in its place")
            return _breast_cancer_stand_in()
        # UCI's classes are 2 (benign) and 4 (malignant).
        return Dataset(name, values[:, :-1].copy(), values[:, -1] - 3, Source(f"from {origin}"))
    raise ValueError(f"name must be 'bodyfat' or 'breast-cancer', got {name!r}")


def ridge_problem() -> tuple[Ridge, Source]:
    """Ridge regression on Body-Fat, 252 x 14; without the data from its moments, the same problem.

    Source: paper, experiments (features as published, weight calibrated).
    """
    try:
        data = load("bodyfat")
        moments, source = Moments.of(data), data.source
    except DataUnavailable as missing:
        say(f"{missing}. Using its moments in {MOMENTS_FILE.name}, which give the same curves")
        moments, source = Moments.read(), Source(f"from its moments in {MOMENTS_FILE.name}")
    problem = Ridge.from_moments(moments.gram, moments.moment, moments.n, moments.target_power)
    return problem, source


def logistic_problem() -> tuple[Logistic, Source]:
    """Logistic regression on Breast-Cancer, 683 x 10, its features scaled to [-1, 1].

    The sample id stays the first feature, as in LIBSVM's copy. Source: paper, experiments (weight
    0.01 calibrated).
    """
    data = load("breast-cancer")
    return Logistic(scaled_to_unit_interval(data.features), data.target), data.source


def scaled_to_unit_interval(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column mapped linearly onto [-1, 1], a constant one to 0, as LIBSVM's svm-scale does."""
    low, high = features.min(axis=0), features.max(axis=0)
    width = np.where(high > low, high - low, 1)
    return np.where(high > low, 2 * (features - low) / width - 1, 0.0)


def _breast_cancer_stand_in() -> Dataset:
    try:
        from sklearn.datasets import load_breast_cancer
    except ModuleNotFoundError as missing:
        raise DataUnavailable("breast-cancer: scikit-learn has a stand-in, install it") from missing
    bundle = load_breast_cancer()
    # Ten features as in the paper: the means; the other twenty are their spreads and extremes.
    means = [i for i, name in enumerate(bundle.feature_names) if name.startswith("mean ")]
    target = np.where(bundle.target == 0, 1.0, -1.0)  # scikit-learn writes 0 for malignant
    source = Source("stand-in: the breast-cancer set of scikit-learn", is_stand_in=True)
    return Dataset("breast-cancer", bundle.data[:, means].copy(), target, source)


def bundled(kind: Literal["ridge", "logistic"], n: int, *, by_target: bool) -> Split:
    """A problem of d = 10 over n workers, from data that scikit-learn brings, the same everywhere.

    Ridge: the diabetes set (442 samples), columns and target of unit variance. Logistic: the ten
    means of the breast-cancer set (569), scaled to [-1, 1]. Regularisation 0.1.
    """
    from sklearn.datasets import load_breast_cancer, load_diabetes

    if kind == "ridge":
        data = load_diabetes()
        target = (data.target - data.target.mean()) / data.target.std()
        features = data.data * np.sqrt(len(target))  # the columns come with norm 1
    else:
        data = load_breast_cancer()
        features, target = scaled_to_unit_interval(data.data[:, :10]), 2.0 * data.target - 1
    return split(kind, features, target, n, regularisation=0.1, by_target=by_target)
