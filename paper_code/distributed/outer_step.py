"""Many local steps, then one compressed outer step: training over slow networks.

::

    outer = OuterStep(model.named_parameters(), ConvolutionalCompression(alpha=0.8), every=50)
    for ...:
        optimiser.step()  # the worker's own
        outer.step()  # every 50th time: the workers exchange what has changed
    with outer.shared_parameters():
        ...  # evaluate, save: the same parameters on all workers
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ..compressors.contract import Compressor
from .collectives import Exchange, torch
from .compressed_mean import CompressedMean, Memory
from .vectors import Array, split

Named = tuple[str, torch.Tensor]

_LARGEST_ALPHA = 0.98  # that the choice of lr follows
# calibrated by examples/outer_ablation.py
_DECAY, _EVEN_DECAY = 0.9, 0.5  # of the memory; the second where a compressor shrinks evenly
_NOISE = 0.5  # of an outer step at most, over the change


class OuterStep:
    """x <- x - lr (Delta + momentum velocity), Delta the mean change of the workers' local steps.

    Every worker takes ``every`` steps of an optimiser of its own, from x - e_i to y_i, where its
    memory e_i is what its messages have left out so far, and sends C(x - y_i):

        Delta = mean_i C(x - y_i),   e_i <- decay (x - y_i - C(x - y_i)),
        velocity <- momentum velocity + Delta    (without ``nesterov`` the step is lr velocity).

    x has the same bits on every worker; ``shared_parameters`` puts it into the model, to evaluate
    and to save it. Between outer steps the workers' own parameters differ.

    Beginning at x - e_i (``carry``) is what keeps strong compression stable. A message of a
    compressor in C(alpha) or B(alpha) passes on about 1 - alpha of a lasting change, so that x gets
    the rest 1 / (1 - alpha) outer steps late. Local steps that begin at x do not know of it and
    change the same again: error feedback is then a momentum of alpha, beside any other and, with
    two ``stages``, twice. Without ``carry`` at alpha = 0.9, two stages and momentum 0.9 the outer
    steps diverge, as docs/distributed.md derives; use one stage, ``decay`` and no ``momentum``.

    ``decay`` None is 0.5 for a compressor that ``shrinks_evenly``, of whose messages nothing but
    their scale is lost for long, and else 0.9. ``lr`` None takes ``step_size`` for the guarantee's
    alpha; above 0.98, or without error feedback, it takes 1: so large an alpha is mostly a bound
    for the worst vector. Few coordinates of each chunk, sent whole, want ``carry`` False, one stage
    and ``decay`` 0.8: ``EntropyCodedSparseDithering(0.957, chunk=1024)``, or ``ChunkedTopK`` with
    an ``lr`` of 1 to 6.

    ``error_feedback`` None means: unless the compressor is unbiased. ``stages``, ``threads``,
    ``seed`` and ``group`` as in ``hook``. Only parameters are averaged, no buffers.
    Raises ValueError for settings out of range.
    Source: local steps with outer momentum, Hsu et al. 2019, arXiv:1909.06335, Douillard et al.
    2023, arXiv:2311.08105; decay of the memory, Peng et al. 2024, arXiv:2411.19870; messages that
    say how local parameters differ from shared ones, Koloskova et al. 2019, arXiv:1902.00340.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor] | Iterable[Named],
        compressor: Compressor,
        *,
        every: int,
        lr: float | None = None,
        momentum: float = 0.0,
        nesterov: bool = True,
        decay: float | None = None,
        carry: bool = True,
        error_feedback: bool | None = None,
        stages: int | None = None,
        threads: int = 1,
        seed: int = 0,
        group: torch.distributed.ProcessGroup | None = None,
    ) -> None:
        _check("every", every, isinstance(every, int) and every >= 1, "whole numbers from 1 on")
        _check("lr", lr, lr is None or 0 < lr < math.inf, "positive numbers and None")
        _check("momentum", momentum, 0 <= momentum < 1, "numbers from 0 to below 1")
        _check("decay", decay, decay is None or 0 <= decay <= 1, "numbers from 0 to 1 and None")
        self.parameters = _named(parameters)
        self.mean = CompressedMean(compressor, Exchange(group), stages, threads)
        self.every, self.momentum, self.nesterov = every, momentum, nesterov
        evenly = compressor.shrinks_evenly
        usual = _EVEN_DECAY if evenly else _DECAY
        self.decay = usual if decay is None else decay
        self.carry, self.seed, self.steps = carry, seed, 0
        self.x = self._vector()
        self.began, self.velocity = self.x.copy(), np.zeros_like(self.x)
        guarantee = compressor.guarantee(len(self.x))
        feedback = not guarantee.is_unbiased if error_feedback is None else error_feedback
        self.memory = self.mean.empty_memory(self.x) if feedback else None
        alpha = guarantee.alpha if feedback and guarantee.alpha <= _LARGEST_ALPHA else 0.0
        workers = self.mean.exchange.size if evenly else None
        best = step_size(alpha, self.decay, self.mean.stages_taken, workers)
        self.lr = best if lr is None else lr

    @property
    def bytes_sent(self) -> int:
        """Bytes that this worker has sent to others so far, headers included."""
        return self.mean.exchange.sent

    def step(self) -> bool:
        """Call it after every step of the optimiser; whether an outer step was taken.

        Raises WorkerError on every worker where one fails; all is then as before this call.
        """
        if (self.steps + 1) % self.every == 0:
            self._outer_step()
        self.steps += 1
        return self.steps % self.every == 0

    @contextmanager
    def shared_parameters(self) -> Iterator[None]:
        """Within, the model has the x that all workers share; afterwards, its own parameters."""
        own = self._vector()
        self._set_parameters(self.x)
        try:
            yield
        finally:
            self._set_parameters(own)

    def _outer_step(self) -> None:
        number, real = self.steps // self.every, self.x.dtype.type
        if number == 0:
            self._check_start()
        draws = [self.seed, number, self.mean.exchange.rank]
        rng = np.random.default_rng(draws) if self.mean.compressor.needs_rng else None
        change = self.began - self._vector()  # without the memory, which the mean adds
        mean, memory = self.mean(change, self.memory, rng, self._name_of, number)
        if memory:
            self.memory = Memory(*(real(self.decay) * part for part in memory))
        self.velocity = real(self.momentum) * self.velocity + mean
        ahead = mean + real(self.momentum) * self.velocity if self.nesterov else self.velocity
        self.x = self.x - real(self.lr) * ahead
        unsent = self.memory.own if self.carry and self.memory else real(0)
        self._set_parameters(self.x - unsent)
        self.began = self._vector()  # as the parameters' own type has rounded it

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What this worker needs to go on as if it had not stopped: save one for each worker.

        Beside the model and the optimiser: the number of local steps, the worker's number and
        theirs, x, where the local steps began, the velocity, the memories.
        """
        exchange = self.mean.exchange
        numbers = {"steps": self.steps, "rank": exchange.rank, "workers": exchange.size}
        vectors = {name: torch.from_numpy(part.copy()) for name, part in self._vectors().items()}
        return {name: torch.tensor(number) for name, number in numbers.items()} | vectors

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a ``state_dict``; the model and the optimiser are loaded apart.

        Raises ValueError, before anything is changed, for one of another worker, model or method.
        """
        ours = (self.mean.exchange.rank, self.mean.exchange.size)
        shapes = {name: part.shape for name, part in self._vectors().items()}
        if state.keys() != {"steps", "rank", "workers", *shapes}:
            raise ValueError(
                f"state holds {', '.join(sorted(state)) or 'nothing'}; allowed is what "
                "state_dict() of an OuterStep with the same settings returned"
            )
        if (theirs := (int(state["rank"]), int(state["workers"]))) != ours:
            raise ValueError(
                "state is of worker {} of {}, but this is worker {} of {}".format(*theirs, *ours)
            )
        for name, shape in shapes.items():
            if state[name].shape != shape:
                raise ValueError(
                    f"{name} of the state has {len(state[name])} coordinates, but the parameters "
                    f"have {shape[0]} here"
                )
        for name, part in self._vectors().items():
            part[:] = state[name].numpy()
        self.steps = int(state["steps"])

    def _vectors(self) -> dict[str, Array]:
        """All that changes from one outer step to the next, by name."""
        kept = {"x": self.x, "began": self.began, "velocity": self.velocity}
        if self.memory:
            kept |= {"memory": self.memory.own, "result_memory": self.memory.result}
        return kept

    def _vector(self) -> Array:
        """The parameters as one vector of float32, or float64 if one is; complex ones as pairs."""
        parts = [_real(part).detach().cpu().reshape(-1) for part in self.parameters.values()]
        wide = any(part.dtype == torch.float64 for part in parts)
        kind = torch.float64 if wide else torch.float32
        return torch.cat([part.to(kind) for part in parts]).numpy()

    @torch.no_grad()
    def _set_parameters(self, x: Array) -> None:
        shapes = {name: _real(part).shape for name, part in self.parameters.items()}
        for name, values in split(x, shapes).items():
            _real(self.parameters[name]).copy_(torch.from_numpy(values))

    def _check_start(self) -> None:
        """Raise WorkerError on all workers unless all began with the same parameters."""
        exchange = self.mean.exchange
        sums = exchange.trade(lambda: [b"%d" % zlib.crc32(self.x.tobytes())] * exchange.size)

        def compare() -> None:
            if different := [i for i, other in enumerate(sums) if other != sums[0]]:
                raise ValueError(
                    f"workers {different} began with other parameters than worker 0: use the same "
                    "seed, or broadcast them first"
                )

        exchange.agree(compare)

    def _name_of(self, index: int) -> str:
        for name, part in self.parameters.items():
            if index < (size := _real(part).numel()):
                return f"the change of {name!r}"
            index -= size
        raise IndexError(index)


def step_size(alpha: float, decay: float, stages: int, evenly_of: int | None = None) -> float:
    """The outer step size that makes up for what stages with memories pass on of lasting changes.

    That is (1 - alpha) / (1 - alpha decay) in each; 1 over it for one stage, for coordinates that
    are sent whole overshoot. A compressor that shrinks evenly, ``evenly_of`` so many workers, may
    make up for all stages, as long as noise stays below half the change: C(v) is (1 - alpha) v and
    noise of energy alpha (1 - alpha) ||v||^2 then, and a step of 1 adds noise of

        sqrt(alpha (1 - alpha) / n)                    in one stage,
        (1 - alpha) sqrt(alpha (1 - alpha + 1 / n))    in two

    times the change, n workers averaged. That half is calibrated. 1 for alpha = 0.

    >>> [round(step_size(alpha, 0.5, 2, evenly_of=4), 2) for alpha in (0, 0.1, 0.9, 0.97)]
    [1.0, 1.11, 8.91, 31.98]
    >>> round(step_size(0.9, 0.9, 2), 6)
    1.9
    """
    lasting = (1 - alpha * decay) / (1 - alpha)
    if not (alpha and evenly_of):
        return lasting
    if stages == 1:
        noise = math.sqrt(alpha * (1 - alpha) / evenly_of)
    else:
        noise = (1 - alpha) * math.sqrt(alpha * (1 - alpha + 1 / evenly_of))
    return min(lasting**stages, _NOISE / noise)


def _named(parameters: Iterable[torch.Tensor] | Iterable[Named]) -> dict[str, torch.Tensor]:
    """The parameters that are trained, by name or else by number."""
    pairs = [
        part if isinstance(part, tuple) else (f"parameter {i}", part)
        for i, part in enumerate(parameters)
    ]
    trained = {name: part for name, part in pairs if part.requires_grad}
    if not trained:
        raise ValueError("parameters hold none that requires a gradient: there is nothing to train")
    return trained


def _real(part: torch.Tensor) -> torch.Tensor:
    """The same memory as real numbers."""
    return torch.view_as_real(part) if part.is_complex() else part


def _check(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {allowed}")
