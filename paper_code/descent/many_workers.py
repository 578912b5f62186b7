"""n workers and a server: compressed gradient descent, and two methods that do not stall.

Worker i keeps a shift h_i, which the server follows from the messages, and sends a message m_i of
its gradient's difference to it; the server steps along the mean of h_i + m_i. One loop is three
methods: they differ in how far the shift moves towards h_i + m_i, and in the step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..compressors.contract import Compressor
    from .split_problem import Split

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ShiftedDescent(ABC):
    """x^{t+1} = x^t - step mean_i (h_i + m_i), m_i = C(gradient_i(x^t) - h_i), h_i += memory m_i.

    A ``one_worker.Method`` for a ``split_problem.Split``. Its bits of a round are
    those of all n messages to the server, each of a float32 vector; what the server sends back
    is not counted, as in the paper. ``step`` None takes the step of theory, ``theoretical_step``.
    """

    compressor: Compressor
    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < math.inf:
            raise ValueError(f"step must be positive and finite, got {self.step}")

    @abstractmethod
    def memory(self, d: int) -> float:
        """The factor from 0 to 1 by which a message moves its shift."""

    @abstractmethod
    def theoretical_step(self, problem: Split) -> float:
        """The largest step for which the method's theorem holds."""

    def iterates(
        self, problem: Split, start: Array, rng: np.random.Generator | None
    ) -> Iterator[tuple[Array, int]]:
        step = self.theoretical_step(problem) if self.step is None else self.step
        memory = self.memory(problem.d)
        x, shifts = start, np.zeros((problem.n, problem.d))
        while True:
            differences = (problem.worker_gradients(x) - shifts).astype(np.float32)
            messages = [self.compressor.encode(difference, rng) for difference in differences]
            sent = np.array([self.compressor.decode(message) for message in messages], float)
            x = x - step * np.mean(shifts + sent, axis=0)
            shifts = shifts + memory * sent
            yield x, sum(message.bits for message in messages)


@dataclass(frozen=True)
class DistributedCGD(ShiftedDescent):
    """Compressed gradient descent: the gradients themselves are sent, all shifts are 0.

    With C unbiased, step = 1/A and A = L + 2 omega max_i L_i / n,

        E||x^t - x*||^2 <= (1 - step mu)^t ||x^0 - x*||^2 + 2 step omega zeta / (n mu),

    zeta = mean_i ||gradient_i(x*)||^2: where the workers differ it stalls at a distance. A
    contractive C takes the step of one worker, 1/L, without a promise.
    Source: Khirirat, Feyzmahdavian, Johansson 2018, arXiv:1806.06573; constants as in Gorbunov,
    Hanzely, Richtárik 2020, arXiv:1905.11261.
    """

    def memory(self, d: int) -> float:
        return 0.0

    def theoretical_step(self, problem: Split) -> float:
        guarantee = self.compressor.guarantee(problem.d)
        omega = guarantee.omega if guarantee.is_unbiased else 0.0
        return 1 / (problem.L + 2 * omega * problem.worker_L.max() / problem.n)


@dataclass(frozen=True)
class DIANA(ShiftedDescent):
    """Unbiased messages of the gradients' changes: the shifts learn gradient_i(x*).

    With memory = 1 / (1 + omega) and step = 1 / (L + 6 omega max_i L_i / n),

        E V^t <= max(1 - step mu, 1 - memory / 2)^t V^0,
        V = ||x - x*||^2 + (4 omega step^2 / (memory n)) mean_i ||h_i - gradient_i(x*)||^2.

    Source: Mishchenko et al. 2019, arXiv:1901.09269; for any unbiased C Horváth et al. 2019,
    arXiv:1904.05115; these constants: Gorbunov, Hanzely, Richtárik 2020, arXiv:1905.11261.
    Raises ValueError for a compressor that is biased.
    """

    def memory(self, d: int) -> float:
        return 1 / (1 + self.compressor.guarantee(d).omega)

    def theoretical_step(self, problem: Split) -> float:
        omega = self.compressor.guarantee(problem.d).omega
        return 1 / (problem.L + 6 * omega * problem.worker_L.max() / problem.n)

    def lyapunov(self, problem: Split, x: Array, shifts: Array) -> float:
        """V at the theoretical step, for x of shape (d,) and shifts h_i of shape (n, d)."""
        omega = self.compressor.guarantee(problem.d).omega
        weight = 4 * omega * self.theoretical_step(problem) ** 2 / self.memory(problem.d)
        far = shifts - problem.worker_gradients(problem.minimiser)
        away = x - problem.minimiser
        return float(away @ away + weight / problem.n * np.mean(np.sum(far**2, axis=1)))

    def rate(self, problem: Split) -> float:
        """The factor by which E V shrinks every round at least, at the theoretical step."""
        forgetting = 1 - self.memory(problem.d) / 2
        return max(1 - self.theoretical_step(problem) * problem.mu, forgetting)


@dataclass(frozen=True)
class EF21(ShiftedDescent):
    """Contractive messages of the gradients' changes: the shifts follow gradient_i(x^t).

    With s = sqrt(alpha), M = sqrt(mean_i L_i^2) and
    step = min(1 / (L + sqrt(2) s / (1 - s) M), (1 - s) / (2 mu)),

        E V^t <= (1 - step mu)^t V^0,
        V = f(x) - f(x*) + step / (1 - s) mean_i ||h_i - gradient_i(x)||^2,

    without the mean where C is strictly contractive; h_i is the shift after the message of x.
    Source: Richtárik, Sokolov, Fatkhullin 2021, arXiv:2106.05203, under the Polyak-Łojasiewicz
    condition (their alpha is our 1 - alpha). Raises ValueError for an unbiased compressor: DIANA is
    its method.
    """

    def memory(self, d: int) -> float:
        if self.compressor.guarantee(d).is_unbiased:
            raise ValueError(f"{self.compressor} is unbiased; EF21 needs a contractive compressor")
        return 1.0

    def theoretical_step(self, problem: Split) -> float:
        root = math.sqrt(self.compressor.guarantee(problem.d).alpha)
        spread = math.sqrt(np.mean(problem.worker_L**2))
        smooth = problem.L + math.sqrt(2) * root / (1 - root) * spread
        return min(1 / smooth, (1 - root) / (2 * problem.mu))

    def lyapunov(self, problem: Split, x: Array, shifts: Array) -> float:
        """V at the theoretical step, for x of shape (d,) and shifts h_i of shape (n, d)."""
        root = math.sqrt(self.compressor.guarantee(problem.d).alpha)
        behind = np.mean(np.sum((shifts - problem.worker_gradients(x)) ** 2, axis=1))
        gap = problem.value(x) - problem.value(problem.minimiser)
        return float(gap + self.theoretical_step(problem) / (1 - root) * behind)

    def rate(self, problem: Split) -> float:
        """The factor by which V shrinks every round at least, at the theoretical step."""
        return 1 - self.theoretical_step(problem) * problem.mu
