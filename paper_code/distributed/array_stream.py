"""Several arrays as one stream of bytes: a list of gradients, or the state of a model."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..coding.bits import FormatError
from ..compressors.contract import Compressor
from ..compressors.known import Identity
from ..messages.message import MAX_DIM, Message, iterate
from ..numerics.float_types import DTYPES
from ..numerics.tensors import dtype_name, is_tensor, to_kind_of
from .vectors import generators, side_by_side

_EXACT = 2**53  # integers up to this are float64 without loss


def to_bytes(
    arrays: Sequence[Any] | Mapping[str, Any],
    compressor: Compressor,
    rng: np.random.Generator | None = None,
    threads: int = 1,
) -> bytes:
    """One frame for each array (or torch tensor), in their order; names do not travel.

    Floating-point arrays go through ``compressor``. Integers and booleans, such as a model's
    counters, travel exactly, as float64; empty arrays have no frame. As many as ``threads`` arrays
    are encoded at a time; the bytes do not depend on it. Raises ValueError, naming the array, for
    what ``Compressor.encode`` refuses and for integers beyond 2^53, TypeError for what is no array.
    """
    items = _items(arrays)

    def frame(work: tuple[tuple[Any, Any], np.random.Generator | None]) -> bytes:
        (name, array), own_rng = work
        try:
            return _frame(array, compressor, own_rng)
        except ValueError as error:
            raise ValueError(f"array {name!r}: {error}") from error

    work = list(zip(items, generators(rng, len(items)), strict=True))
    return b"".join(side_by_side(frame, work, threads))


@overload
def from_bytes(
    data: bytes, like: Mapping[str, Any], max_dim: int = MAX_DIM, threads: int = 1
) -> dict[str, Any]: ...
@overload
def from_bytes(
    data: bytes, like: Sequence[Any], max_dim: int = MAX_DIM, threads: int = 1
) -> list[Any]: ...
def from_bytes(
    data: bytes,
    like: Sequence[Any] | Mapping[str, Any],
    max_dim: int = MAX_DIM,
    threads: int = 1,
) -> list[Any] | dict[str, Any]:
    """Inverse of ``to_bytes``: a list or dict such as ``like``, each array in its kind.

    ``like`` gives names, shapes and element types; its values are not used. As many as ``threads``
    arrays are decoded at a time. Raises FormatError if the stream does not hold just these arrays,
    each whole.

    >>> from paper_code import TopK
    >>> model = {"weight": np.ones((2, 2), np.float32), "steps": np.array(7)}
    >>> from_bytes(to_bytes(model, TopK(4)), like=model)["steps"]
    array(7)
    """
    messages = iterate(io.BytesIO(data), max_dim)
    taken = [_take(name, template, messages) for name, template in _items(like)]
    if next(messages, None) is not None:
        raise FormatError(f"the stream goes on after the {len(taken)} arrays expected")
    arrays = side_by_side(lambda decode: decode(), taken, threads)
    return dict(zip(like, arrays, strict=True)) if isinstance(like, Mapping) else arrays


def _items(arrays: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, Any]]:
    items = list(arrays.items() if isinstance(arrays, Mapping) else enumerate(arrays))
    for name, array in items:
        if not is_tensor(array) and not isinstance(array, (np.ndarray, np.generic)):
            raise TypeError(f"array {name!r} is {array!r}; allowed are NumPy arrays and tensors")
    return items


def _frame(array: Any, compressor: Compressor, rng: np.random.Generator | None) -> bytes:
    if _size(array) == 0:
        return b""
    if _is_float(array):
        return compressor.encode(array, rng).to_bytes()
    return Identity().encode(_whole(array)).to_bytes()


def _take(name: Any, template: Any, messages: Iterator[Message]) -> Callable[[], Any]:
    """What decodes the next message as an array such as ``template``."""
    if _size(template) == 0:
        return lambda: template
    message = next(messages, None)
    if message is None:
        raise FormatError(f"the stream ends before array {name!r}")
    dtype = dtype_name(template) if _is_float(template) else "float64"
    sent = (message.header.shape, message.header.dtype)
    if sent != (tuple(template.shape), dtype):
        raise FormatError(f"array {name!r} is {(tuple(template.shape), dtype)}, but {sent} came")
    if _is_float(template):
        return lambda: to_kind_of(template, message.decode())
    return lambda: _counts(name, template, message.decode())


def _counts(name: Any, template: Any, values: NDArray[np.floating]) -> Any:
    """Integers or booleans in the kind of ``template``, from what came for them."""
    kind = np.dtype(dtype_name(template))
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    exact = (np.rint(values) == values) & (np.abs(values) <= _EXACT)
    if not np.all(exact & (values >= low) & (values <= high)):
        raise FormatError(f"array {name!r} is of {kind}, which cannot hold the values that came")
    return to_kind_of(template, values.astype(kind))


def _is_float(array: Any) -> bool:
    return dtype_name(array) in DTYPES


def _size(array: Any) -> int:
    return array.numel() if is_tensor(array) else array.size


def _whole(array: Any) -> NDArray[np.float64]:
    array = array.detach().cpu().numpy() if is_tensor(array) else array
    if array.dtype.kind not in "iub":
        raise ValueError(f"it has dtype {array.dtype}; allowed are floats, integers and booleans")
    # before the cast, which rounds; from below and above, for the magnitude of -2^63 is no int64
    if not np.all((array >= -_EXACT) & (array <= _EXACT)):
        raise ValueError("it holds integers beyond 2^53")
    return array.astype(np.float64)
