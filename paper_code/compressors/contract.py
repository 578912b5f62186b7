"""The contract of a compressor: encode, decode, promised bits, and what it promises of its error,
the paper's three classes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from ..coding.bits import BitReader, BitWriter, FormatError
from ..messages.message import Header, Message, most_bits
from ..messages.settings import register, told
from ..numerics import norms
from ..numerics.float_types import is_extreme
from ..numerics.tensors import as_array, to_kind_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Guarantee:
    """The class of a compressor, for every x (paper).

    unbiased, U(omega): E C(x) = x and E||C(x) - x||^2 <= omega ||x||^2;
    contractive, B(alpha): E||C(x) - x||^2 <= alpha ||x||^2;
    strictly contractive, C(alpha): ||C(x) - x||^2 <= alpha ||x||^2 always.

    >>> Guarantee.unbiased(0.25).alpha
    0.2
    """

    kind: str
    level: float

    @classmethod
    def unbiased(cls, omega: float) -> Self:
        """U(omega)."""
        return cls("unbiased", float(omega))

    @classmethod
    def contractive(cls, alpha: float) -> Self:
        """B(alpha)."""
        return cls("contractive", float(alpha))

    @classmethod
    def strictly_contractive(cls, alpha: float) -> Self:
        """C(alpha)."""
        return cls("strictly contractive", float(alpha))

    @property
    def is_unbiased(self) -> bool:
        """Whether the mean of C(x) is x."""
        return self.kind == "unbiased"

    @property
    def is_strict(self) -> bool:
        """Whether the distortion is bounded for every message, not in the mean."""
        return self.kind == "strictly contractive"

    @property
    def alpha(self) -> float:
        """The contractive level: omega / (1 + omega) for C / (1 + omega), C unbiased."""
        return self.level / (1 + self.level) if self.is_unbiased else self.level

    @property
    def omega(self) -> float:
        """The variance level of an unbiased compressor. Raises ValueError for another."""
        if not self.is_unbiased:
            raise ValueError(f"a {self.kind} compressor has no omega; use alpha")
        return self.level


class Look(NamedTuple):
    """How a compressor is drawn in every figure: its name, colour and marker.

    The colours stay apart for the colour-blind (Okabe and Ito; Tol's muted set for the others). An
    unbiased variant has its twin's marker and a lighter tone of its colour.
    """

    label: str
    color: str
    marker: str


def check_flag(name: str, value: object) -> None:
    """Raise TypeError for a setting that is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; allowed are True and False")


def check_integer(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    """Raise TypeError or ValueError for a setting that is no integer, or outside its range."""
    allowed = f"allowed are integers from {lowest}" + (f" to {highest}" if highest else "")
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; {allowed}")
    if value < lowest or (highest is not None and value > highest):
        raise ValueError(f"{name} is {value}; {allowed}")


def check_choice(name: str, value: object, *allowed: str) -> None:
    """Raise ValueError for a setting that is none of the allowed words."""
    if value not in allowed:
        *others, last = map(repr, allowed)
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(others)} and {last}")


def _told_settings(compressor: Compressor) -> str:
    """As a dataclass shows itself, without settings that came later and have their defaults."""
    values = ", ".join(f"{name}={value!r}" for name, value in told(compressor).items())
    return f"{type(compressor).__qualname__}({values})"


Values = Callable[[NDArray[Any] | None, NDArray[Any] | None], NDArray[Any]]
"""Computes what ``_read`` would make of a payload, from what its encoder still has at hand.

It may write that to the first array, where one is given, and return this; from the second, where
given, it takes the values away.
"""

_SAFE = 60  # magnitudes within 2**-60 .. 2**60 have norms and products well inside float32
_STRICT_SLACK = 1e-6  # of a strict guarantee: what rounding to float32 may add


class Compressor(ABC):
    """A pair of encoder and decoder: frozen settings, and nothing else.

    A subclass is a frozen dataclass with a ``wire_id`` (0 to 127 are this library's, 128 to 255
    free for others), the methods ``_write`` and ``_read``, its guarantee and its promised bits. A
    setting that it gets ``later`` takes an identifier of its own, which old frames do without.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # of the subclasses
    wire_id: ClassVar[int]
    later: ClassVar[Mapping[str, int]] = {}
    rescales: ClassVar[bool] = True  # False: values travel as they are, at any magnitude
    shrinks_evenly: ClassVar[bool] = False
    """Whether C(v) is about (1 - alpha) v and noise for every v, as where v is rotated before: no
    coordinate is sent whole, none left out. Outer steps of training may be larger then."""

    def __init_subclass__(
        cls,
        *,
        wire_id: int | None = None,
        later: Mapping[str, int] | None = None,
        **rest: Any,
    ) -> None:
        super().__init_subclass__(**rest)
        if wire_id is not None:
            cls.wire_id, cls.later = wire_id, dict(later or {})
            for number in (wire_id, *cls.later.values()):
                register(number, cls)
        if cls.later and "__repr__" not in cls.__dict__:
            cls.__repr__ = _told_settings  # type: ignore[assignment,method-assign]  # not the dataclass's

    @classmethod
    def examples(cls) -> list[Self]:
        """Settings to try it with on short vectors, each kind of message once.

        Laws, golden frames and figures run over these (``compressors.registry``).
        """
        return [cls()]

    @property
    def look(self) -> Look:
        """How figures draw it: grey, with the name of its class, unless it says otherwise."""
        return Look(type(self).__name__, "#555555", "o")

    @property
    def needs_rng(self) -> bool:
        """Whether encoding draws random numbers."""
        return self.shares_randomness

    @property
    def shares_randomness(self) -> bool:
        """Whether sender and receiver draw the same numbers, from a nonce in the frame."""
        return False

    @abstractmethod
    def guarantee(self, d: int) -> Guarantee:
        """The class that this compressor is in for vectors of ``d`` coordinates."""

    def max_bits(self, d: int) -> float:
        """Payload bits that no message exceeds; infinite where nothing is promised."""
        return math.inf

    def plain_values(self, d: int) -> int:
        """Coordinates that travel as they are: 64 bits each in ``max_bits``, 32 for float32."""
        return 0

    def expected_bits(self, d: int) -> float:
        """Upper bound of the mean payload bits over the encoder's randomness, for every x."""
        return self.max_bits(d)

    @abstractmethod
    def _write(
        self, x: NDArray[Any], writer: BitWriter, header: Header, rng: np.random.Generator | None
    ) -> Values | None:
        """Write the payload of the finite 1-d ``x`` (float32 or float64).

        May return what computes the values that ``_read`` will make of it, bit for bit, where that
        is faster than to read them.
        """

    @abstractmethod
    def _read(self, reader: BitReader, header: Header) -> NDArray[Any]:
        """The vector of ``header.d`` coordinates that a payload says."""

    def encode(self, x: Any, rng: np.random.Generator | None = None) -> Message:
        """Encode an array of any shape: float16, bfloat16, float32 or float64.

        ``rng`` is needed only where ``needs_rng``. A tensor on a GPU is copied to the main memory.
        Raises ValueError or TypeError for input that cannot be carried: empty, NaN, infinite,
        complex, or so large or small that the decoded vector would overflow its type or break a
        strict guarantee.
        """
        return self._encode(x, rng)[0]

    def encode_and_decode(
        self,
        x: Any,
        rng: np.random.Generator | None = None,
        out: NDArray[np.floating] | None = None,
        leave_rest: bool = False,
    ) -> tuple[Message, NDArray[np.floating]]:
        """The message, and what it decodes to: error feedback's need, often faster than both.

        That is in ``out``, where given: an array of its shape and element type, and not x's own.
        With ``leave_rest``, x becomes x - C(x), which the message leaves out. Raises what
        ``encode`` raises, and ValueError for an ``out`` that does not fit and for an x in which no
        rest can be left: then x is as it was.
        """
        if out is not None:
            _check_out(out, x)
        if leave_rest:
            _check_rest(x)
        message, values = self._encode(x, rng)
        rest = x.reshape(-1) if leave_rest else None
        if values is None:
            held = message.decode()
        else:
            fits = out is not None and out.dtype == message.header.working_dtype
            place = out.reshape(-1) if out is not None and fits else None
            exact = message.header.is_exact  # else what is left is what the cast values leave
            held = message.header.cast(values(place, rest if exact else None))
            rest = None if exact else rest
        taken_from(rest, held.reshape(-1))
        if out is not None and not np.may_share_memory(held, out):
            out[...] = held
        return message, held if out is None else out

    def _encode(self, x: Any, rng: np.random.Generator | None) -> tuple[Message, Values | None]:
        array, dtype = as_array(x)
        flat = array.reshape(-1)
        peak = _peak(flat)
        if self.needs_rng:
            self._generator(rng)
        if exponent := self.scaling(math.frexp(peak)[1]):
            flat = np.ldexp(flat, -exponent)
        nonce = self._fresh_nonce(rng) if self.shares_randomness else None
        header = Header(array.shape, dtype, exponent, nonce)
        writer = BitWriter(most_bits(header.d))
        try:
            values = self._write(flat, writer, header, rng)
        except ValueError as error:
            if is_extreme(peak, dtype, within=2.0**10):
                raise ValueError(f"x reaches {peak:g}, near an end of {dtype}: {error}") from error
            raise
        message = Message(self, header, writer.getvalue(), writer.bits)
        if is_extreme(peak, dtype, within=2.0**32):
            self._check(array, peak, message)
        return message, values

    def _generator(self, rng: np.random.Generator | None) -> np.random.Generator:
        """``rng`` for a compressor that draws. Raises TypeError for anything else."""
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"rng is {rng!r}; {type(self).__name__} draws: pass a numpy.random.Generator"
            )
        return rng

    def _fresh_nonce(self, rng: np.random.Generator | None) -> int:
        return int.from_bytes(self._generator(rng).bytes(8), "little")

    def decode(self, message: Message) -> NDArray[np.floating]:
        """Decode: shape and element type of what was encoded (bfloat16 comes as float32).

        Raises FormatError if the payload is malformed, ValueError if it is another compressor's.
        """
        if message.compressor != self:
            raise ValueError(f"message is of {message.compressor}, not of {self}")
        held = self._held(message)
        if not math.isfinite(norms.peak(held.reshape(-1))):
            raise FormatError(f"a decoded value overflows {message.header.dtype}")
        return held

    @overload
    def __call__(
        self,
        x: NDArray[Any] | np.generic | float | Sequence[Any],
        rng: np.random.Generator | None = None,
    ) -> NDArray[np.floating]: ...

    @overload
    def __call__(self, x: torch.Tensor, rng: np.random.Generator | None = None) -> torch.Tensor: ...

    def __call__(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """C(x) = decode(encode(x)), returned in kind: array for array, tensor for tensor.

        A tensor comes back on its device. Integers come back as float64.
        """
        return to_kind_of(x, self.decode(self.encode(x, rng)))

    def scaling(self, exponent: int) -> int:
        """The exponent that a message carries where the largest magnitude has this one."""
        return exponent if self.rescales and abs(exponent) > _SAFE else 0

    def read(self, reader: BitReader, header: Header) -> NDArray[np.floating]:
        """Read a whole payload: its values before they are scaled, rounded and shaped as x was.

        The reader then has the labels of its fields. Raises FormatError for bits that are left.
        """
        with np.errstate(all="ignore"):  # a stranger's numbers must not even warn
            values = self._read(reader, header)
        reader.check_end()
        return values

    def _held(self, message: Message) -> NDArray[np.floating]:
        """What the receiver holds. It may have overflowed, which the callers look for."""
        values = self.read(BitReader(message.payload, message.bits), message.header)
        return message.header.cast(values)

    def _check(self, array: NDArray[np.floating], peak: float, message: Message) -> None:
        """Near the ends of an element type's range, look at what the receiver will hold."""
        with np.errstate(under="ignore"):
            held = self._held(message)
            dtype, name = message.header.dtype, type(self).__name__
            if not math.isfinite(norms.peak(held.reshape(-1))):
                raise ValueError(f"x reaches {peak:g}: {name} would overflow {dtype}")
            level = self.guarantee(held.size).level
            if self.guarantee(held.size).is_strict:
                wide = np.divide(array, peak, dtype=np.float64).reshape(-1)
                gap = np.divide(held, peak, dtype=np.float64).reshape(-1) - wide
                error = norms.sum_of_squares(gap) / norms.sum_of_squares(wide)
                if error > level * (1 + _STRICT_SLACK):
                    raise ValueError(
                        f"x reaches only {peak:g}: {name} rounded to {dtype} has error "
                        f"{error:.3g} > {level:g}; use a wider type or a larger scale"
                    )


def _check_out(out: Any, x: Any) -> None:
    """Raise ValueError unless what x decodes to can be written to ``out``, whose end none tests."""
    array, dtype = as_array(x)
    kind = np.dtype("float32" if dtype == "bfloat16" else dtype)
    if not isinstance(out, np.ndarray):
        found = f"{out!r:.60}"
    elif (out.shape, out.dtype) != (array.shape, kind):
        found = f"of shape {out.shape} and type {out.dtype}"
    elif not (out.flags.c_contiguous and out.flags.writeable):
        found = "not contiguous, or read-only"
    elif np.may_share_memory(out, array):
        found = "in the memory of x, which is still needed"
    else:
        return
    raise ValueError(
        f"out is {found}; allowed is a contiguous array of shape {array.shape} and type {kind} "
        "of its own that can be written to"
    )


def _check_rest(x: Any) -> None:
    """Raise ValueError unless x - C(x) can be left in x."""
    if not isinstance(x, np.ndarray):
        found = f"{x!r:.60}"
    elif x.dtype not in (np.float32, np.float64):
        found = f"of type {x.dtype}"
    elif not (x.flags.c_contiguous and x.flags.writeable):
        found = "not contiguous, or read-only"
    else:
        return
    raise ValueError(
        f"x is {found}; to leave the rest in it, it must be a contiguous array of float32 or "
        "float64 that can be written to"
    )


def taken_from(rest: NDArray[Any] | None, values: NDArray[Any]) -> NDArray[Any]:
    """``values``, taken away from ``rest`` where there is one."""
    if rest is not None:
        rest -= values
    return values


def _peak(x: NDArray[np.floating]) -> float:
    """max |x_i|. Raises ValueError naming the first value that is not finite."""
    peak = norms.peak(x)
    if not math.isfinite(peak):
        first = int(np.flatnonzero(~np.isfinite(x))[0])
        raise ValueError(f"x[{first}] (flat index) is {x[first]}; every value must be finite")
    return float(peak)
