"""The loops of the bit codes: fields, masks, signs, unary and Rice numbers in 64-bit words.

A bit stream is an array of words, first bit in the most significant place. The writers only set
bits: the words that they are given must be zero from ``position`` on.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from ..numerics.compiled import ONE, TOP, kernel
from ..numerics.simd import negative, nonzero

_BLOCK = 512  # levels, eight to a word: loops over whole blocks become vector instructions
_ROOMY = 40  # bits of unary numbers on the average; as many numbers seldom take more than 64


@intrinsic
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """Number of leading zero bits of a uint64 (64 for zero): numba has no such function."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def ones(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def high_product(typing_context: Any, first: Any, second: Any) -> Any:
    """The upper 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(arg, wide) for arg in args))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@kernel
def put(words, position, value, width):
    """Write the ``width`` (1 to 64) low bits of ``value`` at bit ``position``."""
    word, free = position >> 6, 64 - (position & 63)
    value = np.uint64(value)
    if width <= free:
        words[word] |= value << np.uint64(free - width)
    else:
        words[word] |= value >> np.uint64(width - free)
        words[word + 1] |= value << np.uint64(64 - width + free)


@kernel
def get(words, position, width):
    """Read ``width`` (1 to 64) bits at bit ``position``; the word after the one there must exist.

    Without a branch: whether a field goes on in the next word cannot be predicted.
    """
    word, offset = position >> 6, np.uint64(position & 63)
    value = (words[word] << offset) | (words[word + 1] >> ONE >> (np.uint64(63) - offset))
    return value >> np.uint64(64 - width)


@kernel
def put_words(words, position, values, width):
    """Write the low ``width`` bits of every value, one after the other; higher ones must be 0."""
    at, used, word = position >> 6, position & 63, np.uint64(0)
    for value in values:
        used += width
        if used > 64:
            used -= 64
            words[at] |= word | np.uint64(value) >> ONE >> np.uint64(used - 1)
            at += 1
            word = np.uint64(0)
        word |= np.uint64(value) << np.uint64(64 - used)
    words[at] |= word


@kernel
def get_words(words, position, width, values):
    """Fill ``values`` with consecutive fields of ``width`` bits."""
    for i in range(values.size):
        values[i] = get(words, position, width)
        position += width


@kernel
def sum_of_magnitudes(levels):
    """Sum of |level|: the bits that they take in unary."""
    total = 0
    for level in levels:
        total += abs(np.int64(level))
    return total


@kernel
def put_mask(words, position, levels):
    """Write one bit for each level: is it non-zero?"""
    whole = levels.size & ~63
    for start in range(0, whole, 64):
        put(words, position + start, nonzero(levels, start), 64)
    for i in range(whole, levels.size):
        put(words, position + i, np.uint64(levels[i] != 0), 1)
    return position + levels.size


@kernel
def put_signs(words, position, levels):
    """Write one bit for each non-zero level: 1 for a negative one."""
    members, signs = np.empty(_BLOCK // 64, np.uint64), np.empty(_BLOCK // 64, np.uint64)
    whole = levels.size - levels.size % _BLOCK
    for start in range(0, whole, _BLOCK):
        for i in range(members.size):
            members[i] = nonzero(levels, start + 64 * i)
            signs[i] = negative(levels, start + 64 * i)
        _close_up(signs, members)
        for i in range(members.size):
            count = np.int64(ones(members[i]))
            if count:
                put(words, position, signs[i], count)
                position += count
    for level in levels[whole:]:
        if level != 0:
            put(words, position, np.uint64(level < 0), 1)
            position += 1
    return position


@kernel
def _close_up(values, members):
    """Move the bits of ``values`` at set bits of ``members`` to the lowest places, in order.

    Six steps by 1, 2, 4 ... places, many words side by side. Source: Warren, Hacker's Delight, 7-4.
    """
    for i in range(values.size):
        left, value = members[i], values[i] & members[i]
        behind = ~left << ONE  # set bits: where a place to the right is free
        for step in range(6):
            odd = behind
            for k in range(6):
                odd ^= odd << (ONE << np.uint64(k))  # parity of the free places to the right
            moving = odd & left
            way = ONE << np.uint64(step)
            left = (left ^ moving) | moving >> way
            moved = value & moving
            value = (value ^ moved) | moved >> way
            behind &= ~odd
        values[i] = value


@kernel
def put_unary(words, position, levels):
    """Write each non-zero |level| as |level| - 1 zeros and a one."""
    nonzero, magnitude = np.empty(_BLOCK, np.uint8), np.empty(_BLOCK, np.uint8)
    fields, widths = np.empty(_BLOCK // 8, np.uint64), np.empty(_BLOCK // 8, np.uint64)
    pairs, pair_widths = np.empty(_BLOCK // 16, np.uint64), np.empty(_BLOCK // 16, np.uint64)
    for start in range(0, levels.size, _BLOCK):
        block, largest, total = levels[start : start + _BLOCK], np.int32(0), np.int32(0)
        nonzero[block.size :] = magnitude[block.size :] = 0
        for i in range(block.size):
            level = np.int32(abs(np.int32(block[i])))
            largest, total = max(largest, level), np.int32(total + min(level, np.int32(64)))
            nonzero[i], magnitude[i] = level != 0, np.uint8(level)
        if largest < 64 and 8 * total < _ROOMY * block.size:
            _fill_fields(nonzero.view(np.uint64), magnitude.view(np.uint64), fields, widths)
            if 16 * total < _ROOMY * block.size:
                _join_pairs(fields, widths, pairs, pair_widths)
                position = _put_fields(words, position, pairs, pair_widths, block)
            else:
                position = _put_fields(words, position, fields, widths, block)
        else:
            position = _put_unary_one_by_one(words, position, block)
    return position


@register_jitable(forceinline=True)
def _with_field(field, width, values, lengths, shift):
    """One of eight fields of ``lengths`` (below 64) bits more; the values are 0 or 1."""
    length = lengths >> np.uint64(shift) & np.uint64(63)
    return field << length | values >> np.uint64(shift) & ONE, width + length


@kernel
def _fill_fields(values, lengths, fields, widths):
    """Join eight fields in one, many words side by side: first is the lowest byte of a word.

    A field of more than 64 bits in all is not right.
    """
    for i in range(fields.size):
        value, length = values[i], lengths[i]
        field, width = _with_field(np.uint64(0), np.uint64(0), value, length, 0)
        field, width = _with_field(field, width, value, length, 8)
        field, width = _with_field(field, width, value, length, 16)
        field, width = _with_field(field, width, value, length, 24)
        field, width = _with_field(field, width, value, length, 32)
        field, width = _with_field(field, width, value, length, 40)
        field, width = _with_field(field, width, value, length, 48)
        fields[i], widths[i] = _with_field(field, width, value, length, 56)


@kernel
def _join_pairs(fields, widths, pairs, pair_widths):
    """Join two fields each."""
    for i in range(pairs.size):
        left, right = fields[2 * i], fields[2 * i + 1]
        pairs[i] = left << (widths[2 * i + 1] & np.uint64(63)) | right
        pair_widths[i] = widths[2 * i] + widths[2 * i + 1]


@kernel
def _put_fields(words, position, fields, widths, levels):
    """Write the joined fields of a block of levels; those too wide are written anew, in unary."""
    at, used, word, each = position >> 6, position & 63, np.uint64(0), _BLOCK // fields.size
    for i in range(fields.size):
        width = np.int64(widths[i])
        if width > 64:
            words[at] |= word
            own = levels[each * i : each * (i + 1)]
            position = _put_unary_one_by_one(words, (at << 6) + used, own)
            at, used, word = position >> 6, position & 63, np.uint64(0)
            continue
        used += width
        if used > 64:
            used -= 64
            words[at] |= word | fields[i] >> ONE >> np.uint64(used - 1)
            at += 1
            word = np.uint64(0)
        word |= fields[i] << np.uint64((64 - used) & 63)
    words[at] |= word
    return (at << 6) + used


@kernel
def _put_unary_one_by_one(words, position, levels):
    at, used, word = position >> 6, position & 63, np.uint64(0)
    for level in levels:
        used += abs(np.int64(level))
        if used > 64:
            words[at] |= word
            at += (used - 1) >> 6
            used = ((used - 1) & 63) + 1
            word = np.uint64(0)
        word |= np.uint64(level != 0) << np.uint64((64 - used) & 63)
    words[at] |= word
    return (at << 6) + used


@kernel
def count_ones(words, position, count):
    """How many of ``count`` bits are set."""
    total = 0
    for start in range(0, count, 64):
        total += np.int64(ones(get(words, position + start, min(64, count - start))))
    return total


@kernel
def after_ones(words, position, end, count):
    """The position behind the ``count``-th set bit from here, or -1 if the bits run out."""
    if count == 0:
        return position
    at = position >> 6
    word = words[at] << np.uint64(position & 63) >> np.uint64(position & 63)
    while np.int64(ones(word)) < count:
        count -= np.int64(ones(word))
        at += 1
        if at << 6 >= end:
            return -1
        word = words[at]
    for _ in range(count - 1):
        word ^= TOP >> leading_zeros(word)
    position = (at << 6) + np.int64(leading_zeros(word)) + 1
    return position if position <= end else -1


@kernel
def put_rice(words, position, values, parameter):
    """Golomb-Rice: value >> parameter zeros, a one, then the ``parameter`` low bits."""
    for value in values:
        position += np.int64(value >> np.uint64(parameter))
        words[position >> 6] |= ONE << np.uint64(63 - (position & 63))
        position += 1
        if parameter:
            low = value & ((ONE << np.uint64(parameter)) - ONE)
            put(words, position, low, parameter)
            position += parameter


@kernel
def get_rice(words, position, end, parameter, values):
    """Fill ``values`` with Golomb-Rice numbers; the new position, or -1 if the bits run out."""
    for i in range(values.size):
        start = position
        position = after_ones(words, start, end, 1)
        if position < 0 or position + parameter > end:
            return -1
        quotient = np.uint64(position - start - 1)
        if parameter and quotient >> np.uint64(64 - parameter):
            return -1
        values[i] = quotient << np.uint64(parameter)
        if parameter:
            values[i] |= get(words, position, parameter)
        position += parameter
    return position


@kernel
def get_levels(mask, at_mask, words, at_signs, at_unary, scale, values):
    """Set values[i] = +- scale * level for each set bit i of the mask, in one pass.

    Signs and unary levels come from two places of ``words``, which must hold them all.
    """
    at, before = at_unary >> 6, at_unary - 1
    word = words[at] << np.uint64(at_unary & 63) >> np.uint64(at_unary & 63)
    for start in range(0, values.size, 64):
        width = min(64, values.size - start)
        members = get(mask, at_mask + start, width) << np.uint64(64 - width)
        if members == 0:
            continue
        count = np.int64(ones(members))
        signs = get(words, at_signs, count) << np.uint64(64 - count)
        at_signs += count
        while members:
            while word == 0:
                at += 1
                word = words[at]
            zeros, place = leading_zeros(word), leading_zeros(members)
            one = (at << 6) + np.int64(zeros)
            value = scale * np.float64(one - before)
            values[start + np.int64(place)] = -value if signs & TOP else value
            before, word, members = one, word ^ TOP >> zeros, members ^ TOP >> place
            signs <<= ONE
