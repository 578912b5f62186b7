"""Vectors of 64 integers of 16 bits as a numba type, for kernels that work on 64 sequences at once.

LLVM cuts them to the vectors that a machine has. All operations are on integers and saturate, so
that every machine computes the same. Indices count integers of 16 bits, and nothing checks them.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba's protocol

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 64
"""Integers in a vector."""

_INTEGER = ir.IntType(16)
_VECTOR = ir.VectorType(_INTEGER, LANES)


class Lanes(types.Type):
    """64 signed integers of 16 bits."""

    def __init__(self) -> None:
        super().__init__(name=f"int16x{LANES}")


_LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:  # noqa: ANN401
        super().__init__(manager, kind, _VECTOR)


def _element(context, builder, kind, array, index):
    """Pointer to an element of a contiguous array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _vector_at(context, builder, kind, array, index):
    return builder.bitcast(_element(context, builder, kind, array, index), _VECTOR.as_pointer())


@intrinsic
def load(typing, array, index):
    """The 64 integers of an int16 array from ``index`` on."""

    def generate(context, builder, signature, args):
        return builder.load(_vector_at(context, builder, signature.args[0], *args), align=2)

    return _LANES(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """Write the 64 integers to an int16 array from ``index`` on."""

    def generate(context, builder, signature, args):
        place = _vector_at(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], place, align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANES), generate


@intrinsic
def zeros(typing):
    """64 zeros."""

    def generate(context, builder, signature, args):
        return ir.Constant(_VECTOR, None)

    return _LANES(), generate


def _of_llvm(name: str):
    function_type = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR])

    @intrinsic
    def operation(typing, a, b):
        def generate(context, builder, signature, args):
            full_name = f"llvm.{name}.v{LANES}i16"
            function = cgutils.get_or_insert_function(builder.module, function_type, full_name)
            return builder.call(function, args)

        return _LANES(_LANES, _LANES), generate

    return operation


add = _of_llvm("sadd.sat")
"""a + b, saturating."""
subtract = _of_llvm("ssub.sat")
"""a - b, saturating."""
maximum = _of_llvm("smax")
"""The larger of a and b in each lane."""


@intrinsic
def greater(typing, a, b):
    """A word of 64 bits: bit i says whether lane i of ``a`` is greater than that of ``b``."""

    def generate(context, builder, signature, args):
        return builder.bitcast(builder.icmp_signed(">", *args), ir.IntType(LANES))

    return types.uint64(_LANES, _LANES), generate


@intrinsic
def put(typing, array, index, value):
    """array[index] = value without the test for a negative index, which takes time."""

    def generate(context, builder, signature, args):
        kind = signature.args[0]
        builder.store(args[2], _element(context, builder, kind, args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


@intrinsic
def get(typing, array, index):
    """array[index] of an int64 array without the test for a negative index."""

    def generate(context, builder, signature, args):
        return builder.load(_element(context, builder, signature.args[0], *args))

    return types.int64(array, types.intp), generate
