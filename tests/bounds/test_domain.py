"""What the bounds accept: scalars and arrays; all else is refused by name."""

from collections.abc import Callable

import numpy as np
import pytest

from paper_code import bounds


def test_scalars_give_floats_and_arrays_broadcast() -> None:
    assert type(bounds.log2_cap_probability(0.1, 10)) is float
    assert type(bounds.worst_case_upper_bits(np.float64(0.1), np.int64(10))) is float
    both = bounds.worst_case_lower_bits([[0.1], [0.5]], [10, 100])
    assert both.shape == (2, 2)
    assert both[1, 1] == bounds.worst_case_lower_bits(0.5, 100)


OF_ALPHA_AND_D = [
    bounds.log2_cap_probability,
    bounds.cap_probability,
    bounds.cap_mean_cosine,
    bounds.uncertainty_bits,
    bounds.worst_case_lower_bits,
    bounds.worst_case_lower_bits_asymptotic,
    bounds.worst_case_upper_bits_asymptotic,
    bounds.worst_case_upper_bits,
    bounds.worst_case_band,
    bounds.average_case_bits,
    bounds.spherical_compression_bits,
    bounds.spherical_compression_expected_bits,
    bounds.spherical_compression_mean_overlap,
    bounds.spherical_compression_omega,
    bounds.spherical_compression_saving,
]
OF_NU_AND_D = [bounds.sparse_dithering_bits, bounds.sparse_dithering_worst_bits]


@pytest.mark.parametrize("bound", OF_ALPHA_AND_D + OF_NU_AND_D)
def test_arguments_out_of_domain_are_named(bound: Callable) -> None:
    level = "nu" if bound in OF_NU_AND_D else "alpha"
    for bad in (0.0, 1.0, -0.1, 1.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"^{level} must be strictly between 0 and 1, got"):
            bound(bad, 10)
    with pytest.raises(ValueError, match=f"{level} .* got 2$"):
        bound([0.1, 2.0], 10)
    for bad in (0, -3, 2.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^d must be a whole number >= [12], got"):
            bound(0.1, bad)
    with pytest.raises(TypeError, match=rf"^{level} must be .* got '0.1'"):
        bound("0.1", 10)
    with pytest.raises(TypeError, match=r"^d must be .* got True"):
        bound(0.1, True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.uncertainty_bits_unbiased(0, 10), "omega must be positive and finite"),
        (lambda: bounds.unbiased_sparse_dithering_bits(-1, 10), "omega must be positive"),
        (lambda: bounds.unbiased_sparse_dithering_saving(np.inf), "omega must be positive"),
        (lambda: bounds.cgd_iteration_factor_unbiased(0), "omega must be positive and finite"),
        (lambda: bounds.cgd_iteration_factor(1), "alpha must be strictly between 0 and 1"),
        (lambda: bounds.total_communication(0, 0.5), "rate must be positive and finite"),
        (lambda: bounds.sparse_dithering_bits_at(0.1, 10, 1.1), "tau must be from 0 to 1"),
        (lambda: bounds.rice_parameter(0), "p must be above 0 and at most 1"),
        (lambda: bounds.rice_expected_bits(0.5, -1), "parameter must be a whole number >= 0"),
        (lambda: bounds.top_k_bits(0, 10), "k must be a whole number >= 1"),
        (lambda: bounds.top_k_saving(11, 10), "k must be at most d = 10, got 11"),
        (lambda: bounds.sparse_dithering_worst_bits(0.1, 9, gamma_slack=1), "gamma_slack must be"),
        (lambda: bounds.sparse_dithering_worst_input(1.0, 9), "nu must be strictly between"),
        (lambda: bounds.worst_case_band(0.1, 1), "d must be a whole number >= 2, got 1"),
    ],
)
def test_other_refusals(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
