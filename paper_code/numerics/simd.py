"""Vectors as a numba type: 64 integers of 16 bits, or 16 floats, that a kernel holds as one value.

LLVM cuts them to the vectors that a machine has. Sums of integers wrap around, unless they say that
they saturate, and those of floats are rounded as IEEE 754 says, so that every machine computes the
same. Indices count elements of the
array, and nothing checks them.
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

FLOATS = 16
"""Floats in a vector."""

_COUNT = {types.int16: LANES, types.uint16: LANES, types.float32: FLOATS, types.float64: FLOATS}
_IR = {
    types.int16: ir.IntType(16),
    types.uint16: ir.IntType(16),
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
}
_BYTES = {types.int16: 2, types.uint16: 2, types.float32: 4, types.float64: 8}


class Vector(types.Type):
    """64 int16 or uint16, 16 float32 or 16 float64."""

    def __init__(self, element: types.Type) -> None:
        self.element = element
        super().__init__(name=f"{element}x{_COUNT[element]}")

    @property
    def ir(self) -> ir.VectorType:
        """The vector as LLVM knows it."""
        return ir.VectorType(_IR[self.element], _COUNT[self.element])


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.ir)


def _element(context, builder, kind, array, index):
    """Pointer to an element of a contiguous array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


@intrinsic
def load(typing, array, index):
    """The vector of an array's elements from ``index`` on."""
    vector = Vector(array.dtype)

    def generate(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], *args)
        place = builder.bitcast(place, vector.ir.as_pointer())
        return builder.load(place, align=_BYTES[vector.element])

    return vector(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """Write a vector to an array's elements from ``index`` on."""

    def generate(context, builder, signature, args):
        place = _element(context, builder, signature.args[0], *args[:2])
        place = builder.bitcast(place, value.ir.as_pointer())
        builder.store(args[2], place, align=_BYTES[value.element])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def zeros(typing):
    """64 integers 0."""
    vector = Vector(types.int16)

    def generate(context, builder, signature, args):
        return ir.Constant(vector.ir, None)

    return vector(), generate


@intrinsic
def add(typing, a, b):
    """a + b; integers wrap around."""

    def generate(context, builder, signature, args):
        return (builder.add if a.element is types.int16 else builder.fadd)(*args)

    return a(a, a), generate


@intrinsic
def subtract(typing, a, b):
    """a - b; integers wrap around."""

    def generate(context, builder, signature, args):
        return (builder.sub if a.element is types.int16 else builder.fsub)(*args)

    return a(a, a), generate


def _named(operation, kind):
    """LLVM's intrinsic of that name on two vectors of 64 integers of this kind."""

    def typer(typing, a, b):
        def generate(context, builder, signature, args):
            name, function = f"llvm.{operation}.v{LANES}i16", ir.FunctionType(a.ir, [a.ir, a.ir])
            callee = cgutils.get_or_insert_function(builder.module, function, name)
            return builder.call(callee, args)

        return (a(a, a), generate) if a == Vector(kind) else None

    return typer


@intrinsic
def maximum(typing, a, b):
    """The larger of two int16 in each lane."""
    return _named("smax", types.int16)(typing, a, b)


@intrinsic
def minimum(typing, a, b):
    """The smaller of two uint16 or floats in each lane; no float is a NaN."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    if a == Vector(types.uint16):
        return _named("umin", types.uint16)(typing, a, b)
    return a(a, a), generate


@intrinsic
def multiply(typing, a, b):
    """a b of floats."""

    def generate(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, a), generate


@intrinsic
def magnitude(typing, a):
    """|a| of floats."""

    def generate(context, builder, signature, args):
        minus = builder.fneg(args[0])
        return builder.select(builder.fcmp_ordered(">", *args, minus), args[0], minus)

    return a(a), generate


@intrinsic
def where_zero(typing, test, a, b):
    """``a`` in the lanes where the float ``test`` is 0, ``b`` in the others."""

    def generate(context, builder, signature, args):
        zero = ir.Constant(test.ir, None)
        return builder.select(builder.fcmp_ordered("==", args[0], zero), *args[1:])

    return a(test, a, a), generate


@intrinsic
def filled(typing, value):
    """Sixteen times the same float."""
    vector = Vector(value)

    def generate(context, builder, signature, args):
        one = builder.insert_element(ir.Constant(vector.ir, None), args[0], ir.IntType(32)(0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), FLOATS), None)
        return builder.shuffle_vector(one, one, places)

    return vector(value), generate


@intrinsic
def store_uint16(typing, array, index, value):
    """Write floats from 0 to 65535, without what is behind the point, to a uint16 array."""

    def generate(context, builder, signature, args):
        wide = builder.fptosi(args[2], ir.VectorType(ir.IntType(32), FLOATS))
        narrow = builder.trunc(wide, ir.VectorType(ir.IntType(16), FLOATS))
        place = _element(context, builder, signature.args[0], *args[:2])
        builder.store(narrow, builder.bitcast(place, narrow.type.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def add_saturating(typing, a, b):
    """a + b of uint16, at most 65535."""
    return _named("uadd.sat", types.uint16)(typing, a, b)


@intrinsic
def subtract_saturating(typing, a, b):
    """a - b of uint16, at least 0."""
    return _named("usub.sat", types.uint16)(typing, a, b)


@intrinsic
def equal(typing, a, b):
    """A word of 64 bits: bit i says whether lane i of ``a`` is that of ``b``."""

    def generate(context, builder, signature, args):
        return builder.bitcast(builder.icmp_unsigned("==", *args), ir.IntType(LANES))

    return types.uint64(a, a), generate


@intrinsic
def greater(typing, a, b):
    """A word of 64 bits: bit i says whether lane i of ``a`` is greater than that of ``b``."""

    def generate(context, builder, signature, args):
        return builder.bitcast(builder.icmp_signed(">", *args), ir.IntType(LANES))

    return types.uint64(a, a), generate


def _word_of(sign):
    """A word of 64 bits, first the most significant: how 64 integers of an array compare with 0."""

    def typer(typing, array, index):
        def generate(context, builder, signature, args):
            place = _element(context, builder, signature.args[0], *args)
            kind = ir.VectorType(place.type.pointee, LANES)
            value = builder.load(builder.bitcast(place, kind.as_pointer()), align=1)
            last_first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [*range(LANES)][::-1])
            turned = builder.shuffle_vector(value, value, last_first)
            told = builder.icmp_signed(sign, turned, ir.Constant(kind, None))
            return builder.bitcast(told, ir.IntType(LANES))

        if not isinstance(array.dtype, (types.Integer, types.Boolean)):
            return None
        return types.uint64(array, types.intp), generate

    return typer


@intrinsic
def nonzero(typing, array, index):
    """A word of 64 bits, first the most significant: which integers from ``index`` on are not 0."""
    return _word_of("!=")(typing, array, index)


@intrinsic
def negative(typing, array, index):
    """A word of 64 bits, first the most significant: which from ``index`` on are below 0."""
    return _word_of("<")(typing, array, index)


@intrinsic
def hadamard(typing, a):
    """The Walsh-Hadamard transform of 16 floats, strides 1, 2, 4 and 8 one after the other."""

    def generate(context, builder, signature, args):
        value = args[0]
        for stride in (1, 2, 4, 8):
            places = [i ^ stride for i in range(FLOATS)]
            signs = [-1.0 if i & stride else 1.0 for i in range(FLOATS)]
            index = ir.Constant(ir.VectorType(ir.IntType(32), FLOATS), places)
            other = builder.shuffle_vector(value, value, index)
            value = builder.fadd(other, builder.fmul(value, ir.Constant(a.ir, signs)))
        return value

    return a(a), generate


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
    """array[index] of an int32 array as int64, without the test for a negative index."""

    def generate(context, builder, signature, args):
        value = builder.load(_element(context, builder, signature.args[0], *args))
        return builder.sext(value, ir.IntType(64))

    return types.int64(array, types.intp), generate
