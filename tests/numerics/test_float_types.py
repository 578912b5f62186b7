"""Rounding to the element types: to the nearest number, ties to the even one."""

import numpy as np
import pytest

from paper_code.numerics.float_types import to_bfloat16

torch = pytest.importorskip("torch")


def test_bfloat16_is_the_nearest_and_ties_go_to_the_even_one() -> None:
    assert to_bfloat16(np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8])).tolist() == [1.0, 1 + 2.0**-6]
    upper = np.random.default_rng(0).integers(0, 0x7F80, 10_000).astype(np.uint32) << np.uint32(16)
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):  # a tie is 0x8000
        x = (upper | np.uint32(lower)).view(np.float32)
        for values in (x, -x):
            expected = torch.from_numpy(values).to(torch.bfloat16).float().numpy()
            assert np.array_equal(to_bfloat16(values), expected)
