"""FSDP2 over gloo with a compressed reduce-scatter: shards where they are, sums in float32."""

import gloo
import gloo_work
import numpy as np
import pytest
from gloo_work import SCHEME, UNBIASED

from paper_code import Compressor, Identity
from paper_code.distributed import CompressedReduceScatter

D = 16 * 33 + 33 + 33 * 4 + 4


def test_uncompressed_it_is_the_native_reduce_scatter() -> None:
    """Three workers: no layer's rows divide by them, so shards are padded."""
    ours, native = (
        gloo.returned(gloo.run(gloo_work.train_in_shards, 3, compressor, 4, -1))
        for compressor in (Identity(), None)
    )
    assert ours[0]["shards"] == native[0]["shards"]
    assert sum(ours[0]["shards"]) < D / 2
    for name in ("whole", "losses"):  # sums of float32 in another order
        np.testing.assert_allclose(ours[0][name], native[0][name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("compressor", [SCHEME, UNBIASED])
def test_compressed_it_learns_with_fewer_bytes_and_resumes_exactly(compressor: Compressor) -> None:
    steps = 25
    runs = [
        gloo.returned(gloo.run(gloo_work.train_in_shards, 3, compressor, steps, stop))
        for stop in (-1, 10)
    ]
    whole, resumed = (run[0] for run in runs)
    assert np.array_equal(whole["whole"], resumed["whole"])
    losses = np.mean([worker["losses"] for worker in runs[0]], axis=0)
    assert losses[-5:].mean() < 0.8 * losses[:5].mean()
    assert 0 < whole["sent"] < 2 / 3 * 4 * D * steps / 3  # a third of float32's


def test_a_nan_on_one_worker_is_the_same_error_on_all() -> None:
    (text,) = gloo.words(gloo.run(gloo_work.spoil_a_shard, 3), seconds=15)
    assert text.startswith("WorkerError: worker 1: ValueError: x[")
    assert text.endswith("] is nan; every value must be finite")


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(ValueError, match="state has no step"):
        CompressedReduceScatter(SCHEME).load_state_dict({})
