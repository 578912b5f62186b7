"""The paper's results, one pure function each, in its order; bits in bits, d = coordinates.

Scalars in, a Python float out; arrays broadcast.
"""

from paper_code.bounds.cap import (
    cap_angle,
    cap_mean_cosine,
    cap_probability,
    log2_cap_probability,
)
from paper_code.bounds.communication import (
    cgd_iteration_factor,
    cgd_iteration_factor_unbiased,
    optimal_code_communication,
    total_communication,
    total_communication_unbiased,
)
from paper_code.bounds.covering import worst_case_upper_bits
from paper_code.bounds.savings import (
    Optimum,
    best_sparse_dithering,
    best_unbiased_sparse_dithering,
    sparse_dithering_saving,
    spherical_compression_saving,
    top_k_bits,
    top_k_distortion,
    top_k_saving,
    unbiased_sparse_dithering_saving,
)
from paper_code.bounds.sparse_dithering import (
    sparse_dithering_bits,
    sparse_dithering_bits_at,
    sparse_dithering_bits_at_misprinted,
    sparse_dithering_rate,
    sparse_dithering_worst_zero_share,
    unbiased_sparse_dithering_bits,
    unbiased_sparse_dithering_rate,
)
from paper_code.bounds.spherical import (
    geometric_entropy_bits,
    rice_expected_bits,
    rice_parameter,
    spherical_compression_bits,
    spherical_compression_expected_bits,
    spherical_compression_mean_overlap,
    spherical_compression_omega,
)
from paper_code.bounds.worst_case import (
    Band,
    average_case_bits,
    uncertainty_bits,
    uncertainty_bits_unbiased,
    worst_case_band,
    worst_case_bits_circle,
    worst_case_lower_bits,
    worst_case_lower_bits_asymptotic,
    worst_case_upper_bits_asymptotic,
)
from paper_code.bounds.worst_levels import (
    sparse_dithering_worst_bits,
    sparse_dithering_worst_input,
)

__all__ = [
    "Band",
    "Optimum",
    "average_case_bits",
    "best_sparse_dithering",
    "best_unbiased_sparse_dithering",
    "cap_angle",
    "cap_mean_cosine",
    "cap_probability",
    "cgd_iteration_factor",
    "cgd_iteration_factor_unbiased",
    "geometric_entropy_bits",
    "log2_cap_probability",
    "optimal_code_communication",
    "rice_expected_bits",
    "rice_parameter",
    "sparse_dithering_bits",
    "sparse_dithering_bits_at",
    "sparse_dithering_bits_at_misprinted",
    "sparse_dithering_rate",
    "sparse_dithering_saving",
    "sparse_dithering_worst_bits",
    "sparse_dithering_worst_input",
    "sparse_dithering_worst_zero_share",
    "spherical_compression_bits",
    "spherical_compression_expected_bits",
    "spherical_compression_mean_overlap",
    "spherical_compression_omega",
    "spherical_compression_saving",
    "top_k_bits",
    "top_k_distortion",
    "top_k_saving",
    "total_communication",
    "total_communication_unbiased",
    "unbiased_sparse_dithering_bits",
    "unbiased_sparse_dithering_rate",
    "unbiased_sparse_dithering_saving",
    "uncertainty_bits",
    "uncertainty_bits_unbiased",
    "worst_case_band",
    "worst_case_bits_circle",
    "worst_case_lower_bits",
    "worst_case_lower_bits_asymptotic",
    "worst_case_upper_bits",
    "worst_case_upper_bits_asymptotic",
]
