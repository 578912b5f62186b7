"""Ungerboeck's codes: which trellis has how many states."""

from __future__ import annotations

# Parity-check polynomials (h1, h0) in octal, of the best codes for amplitude modulation.
CODES = {
    4: (0o2, 0o5),
    8: (0o4, 0o13),
    16: (0o4, 0o23),
    32: (0o10, 0o45),
    64: (0o24, 0o103),
    128: (0o126, 0o235),
    256: (0o362, 0o515),
}
"""(h1, h0) by the number of states (IEEE Trans. Inf. Theory 28, 1982).

State s is odd or even as the integers that it allows; after the integer n it is
s >> 1 ^ (h0 >> 1) (s & 1) ^ (h1 >> 1) b, where b is bit 1 of n.
"""

STATES = tuple(CODES)
