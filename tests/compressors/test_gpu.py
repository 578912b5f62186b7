"""Sparse Dithering of torch tensors where they lie: the bytes and values of the main memory.

The loops in torch run here on the CPU too, where torch says that it has a device on which they do;
on a GPU, where there is one, the same tests run once more.
"""

import numpy as np
import pytest
import torch

import paper_code as pc
from paper_code.compressors import levels_on_gpu
from paper_code.distributed import frame_stream, vectors
from paper_code.distributed.error_feedback import ErrorFeedback
from paper_code.numerics import norms, tensors

KINDS = [
    pc.SparseDithering(nu, unbiased, positions)
    for nu in (0.9, 0.1, 1e-3)
    for unbiased in (False, True)
    for positions in ("subset", "bitmap")
]
DIMS = [1, 2, 63, 64, 65, 1000, 4097, 10_001, levels_on_gpu.CHUNK + 3]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(
                not torch.cuda.is_available(), reason="torch sees no CUDA GPU on this machine"
            ),
        ),
    ]
)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tensors, "runs_on", lambda device: device.type == request.param)
    return request.param


def host(compressor: pc.Compressor, x: torch.Tensor, seed: int) -> pc.Message:
    """The message that the loops in NumPy make."""
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "runs_on", lambda device: False)
        return compressor.encode(x.cpu(), rng)


def vector(d: int, dtype: torch.dtype, kind: str = "normal") -> torch.Tensor:
    rng = np.random.default_rng(d)
    x = {
        "normal": rng.standard_normal(d),
        "heavy": rng.standard_t(3, d),
        "sparse": rng.standard_normal(d) * (rng.random(d) < 0.01),
        "equal": np.ones(d),
        "large": 1e4 * rng.standard_normal(d),
    }[kind]
    return torch.from_numpy(x).to(dtype)


def check(compressor: pc.Compressor, x: torch.Tensor, device: str) -> None:
    message = host(compressor, x, 5)
    given = x.to(device, copy=True)
    ours = compressor.encode(given, np.random.default_rng(5))
    assert torch.equal(given.cpu(), x)
    assert ours.to_bytes() == message.to_bytes()
    there = pc.decode(ours.to_bytes(), device=device)
    assert (there.device.type, there.dtype, there.shape) == (device, x.dtype, x.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "runs_on", lambda device: False)
        here = pc.decode(ours.to_bytes(), device="cpu")
    assert torch.equal(there.cpu(), here)


@pytest.mark.parametrize("compressor", KINDS, ids=str)
@pytest.mark.parametrize("d", DIMS)
def test_same_bytes_and_values(compressor: pc.Compressor, d: int, device: str) -> None:
    check(compressor, vector(d, torch.float32), device)


@pytest.mark.parametrize("kind", ["heavy", "sparse", "equal", "large"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("positions", ["subset", "bitmap"])
def test_every_type_and_kind(positions: str, dtype: torch.dtype, kind: str, device: str) -> None:
    for unbiased in (False, True):
        compressor = pc.SparseDithering(0.1, unbiased, positions)
        check(compressor, vector(3000, dtype, kind), device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_finer_steps_for_narrow_types_are_taken_alike(dtype: torch.dtype, device: str) -> None:
    """Where all levels are cell borders, rounding to the type decides for the finer step."""
    finer = 0
    for nu in (1 / 9, 1 / 25, 1 / 49):
        compressor = pc.SparseDithering(nu)
        for value in (1.0, 1.1, 1.2, 1.3, 1.7):
            for d in (4, 100, 400):
                x = torch.full((d,), value, dtype=dtype)
                check(compressor, x, device)
                wide = compressor.encode(x.float())  # its first step is fine enough
                finer += compressor.encode(x).payload[:4] != wide.payload[:4]
    assert finer > 5  # of 45; which ones hangs on the digits of 1.1, ...


def test_zero_empty_shapes_and_views(device: str) -> None:
    compressor = pc.SparseDithering(0.1, positions="bitmap")
    check(compressor, torch.zeros(100), device)
    check(compressor, torch.randn(3, 5, 7, generator=torch.manual_seed(0)), device)
    check(compressor, torch.randn(6, 8, generator=torch.manual_seed(0)).T, device)
    check(compressor, torch.tensor(2.5), device)


@pytest.mark.parametrize("scale", [1e-30, 1e25, 1e-44])
def test_extreme_magnitudes_go_the_way_of_the_host(scale: float, device: str) -> None:
    check(pc.SparseDithering(0.1, positions="bitmap"), scale * torch.ones(8), device)


def test_float16_near_its_ends(device: str) -> None:
    compressor = pc.SparseDithering(0.1, positions="bitmap")
    check(compressor, torch.tensor([3e4, -6e4, 100.0], dtype=torch.float16), device)
    check(compressor, torch.tensor([3e-4, -2e-3, 0.0], dtype=torch.float16), device)
    x = torch.tensor([65504.0] * 3 + [-60000.0] * 2, dtype=torch.float16)
    coarse = pc.SparseDithering(50, unbiased=True)
    with pytest.raises(ValueError, match="would overflow float16"):
        for seed in range(20):  # some draw rounds up
            coarse.encode(x.to(device), np.random.default_rng(seed))


def test_devices_that_there_are_not(device: str) -> None:
    data = pc.TopK(1).encode(np.ones(3)).to_bytes()
    absent = [] if torch.cuda.is_available() else ["cuda"]
    for name in ("mars", "", *absent):
        with pytest.raises(ValueError, match=f"device is '{name}', which torch refuses"):
            pc.decode(data, device=name)
        with pytest.raises(ValueError, match=f"device is '{name}', which torch refuses"):
            pc.Message.from_bytes(data).decode(name)


def test_tensors_without_values_are_refused(device: str) -> None:
    compressor = pc.SparseDithering(0.1)
    with pytest.raises(TypeError, match="x is a tensor on meta"):
        compressor.encode(torch.ones(3, device="meta"))
    with pytest.raises(TypeError, match=r"torch\.sparse_coo; its values must be at hand"):
        compressor.encode(torch.ones(3).to_sparse().to(device))
    with pytest.raises(TypeError, match="x has dtype float8_e5m2"):
        compressor.encode(torch.ones(3).to(torch.float8_e5m2).to(device))


def test_integers_come_back_as_floats(device: str) -> None:
    x = torch.tensor([3, 2, 1, 1], device=device)
    held = pc.SparseDithering(0.05)(x)
    assert (held.dtype, held.device) == (torch.float64, x.device)
    assert ((held - x) ** 2).sum() <= 0.05 * (x**2).sum()


def test_refusals_are_the_host_s(device: str) -> None:
    compressor, draws = pc.SparseDithering(0.1), pc.SparseDithering(0.1, unbiased=True)
    x = torch.ones(5, device=device)
    with pytest.raises(ValueError, match=r"x\[3\] \(flat index\) is nan"):
        compressor.encode(x.index_fill(0, torch.tensor([3], device=device), torch.nan))
    with pytest.raises(ValueError, match="x is empty"):
        compressor.encode(x[:0])
    with pytest.raises(TypeError, match=r"complex64"):
        compressor.encode(x.to(torch.complex64))
    with pytest.raises(TypeError, match="pass a numpy"):
        draws.encode(x)
    with pytest.raises(ValueError, match="at most 5% is allowed"):
        pc.SparseDithering(1e-6).encode(x.to(torch.bfloat16))


@pytest.mark.parametrize("positions", ["subset", "bitmap"])
def test_damaged_payloads_are_refused(positions: str, device: str) -> None:
    """With the CRC repaired: whatever the bits say, an error or values, and the host's."""
    message = pc.SparseDithering(0.1, positions=positions).encode(vector(200, torch.float32))
    for at in range(message.bits):
        payload = bytearray(message.payload)
        payload[at // 8] ^= 0x80 >> at % 8
        damaged = pc.Message(message.compressor, message.header, bytes(payload), message.bits)
        try:
            expected = torch.from_numpy(damaged.decode())
        except pc.FormatError as error:
            with pytest.raises(pc.FormatError) as refusal:
                damaged.decode(device)
            assert str(refusal.value) == str(error)
        else:
            assert torch.equal(damaged.decode(device).cpu(), expected)


def test_tensors_come_back_in_kind(device: str) -> None:
    x = vector(500, torch.bfloat16).to(device)
    held = pc.SparseDithering(0.1)(x)
    assert (held.device, held.dtype) == (x.device, x.dtype)
    model = {"weight": x, "steps": torch.tensor(7, device=device)}
    back = frame_stream.from_bytes(
        frame_stream.to_bytes(model, pc.SparseDithering(0.1)), like=model
    )
    assert torch.equal(back["weight"], held)
    assert back["weight"].device == x.device


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_error_feedback_on_tensors(dtype: torch.dtype, device: str) -> None:
    feedback = ErrorFeedback(pc.SparseDithering(0.3))
    here, there = (None, None), (None, None)
    for seed in range(3):
        x = vector(100 + seed, dtype)[:100]
        there = feedback.encode(x.to(device), there[1])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tensors, "runs_on", lambda device: False)
            here = feedback.encode(x, here[1])
        assert there[0].to_bytes() == here[0].to_bytes()
        assert isinstance(there[1], torch.Tensor)
        assert np.array_equal(there[1].cpu().numpy(), here[1])
    with pytest.raises(ValueError, match="memory has shape"):
        feedback.encode(x.to(device), there[1][:5])


def test_means_are_the_same_bits(device: str) -> None:
    """A seventh of a float32 is not its product with 1/7."""
    parts = [vector(1000 + i, torch.float32)[:1000] for i in range(7)]
    there = vectors.mean([part.to(device) for part in parts]).cpu().numpy()
    assert np.array_equal(there, vectors.mean([part.numpy() for part in parts]))
    odd = parts[0].clone()
    odd[[17, 30]] = torch.tensor([torch.inf, torch.nan])
    assert vectors.first_not_finite(odd.to(device)) == vectors.first_not_finite(odd.numpy()) == 17
    assert vectors.first_not_finite(parts[0].to(device)) is None


def test_every_compressor_decodes_to_a_device(device: str) -> None:
    x = vector(64, torch.float32)
    for compressor in (pc.TopK(3), pc.ScaledSign(), pc.EntropyCodedSparseDithering(0.1)):
        there = compressor.encode(x.to(device)).decode(device)
        assert there.device.type == device
        assert np.array_equal(there.cpu().numpy(), compressor.encode(x).decode())


def test_the_loops_in_torch_are_those_that_ran(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else these tests compare the host with itself."""
    calls = []
    for name in ("round_to_nearest", "write_mask", "write_signs", "write_unary", "values_of"):
        loop = getattr(levels_on_gpu, name)
        monkeypatch.setattr(
            levels_on_gpu, name, lambda *args, f=loop, n=name: calls.append(n) or f(*args)
        )
    names = ["round_to_nearest", "write_mask", "write_signs", "write_unary", "values_of"]
    for dtype in DTYPES:
        calls.clear()
        pc.SparseDithering(0.1, positions="bitmap")(torch.ones(10, device=device, dtype=dtype))
        # a message of float16 is decoded once more, to see that nothing overflows
        assert calls == names + names[4:] * (dtype == torch.float16)


@pytest.mark.parametrize("d", [1, 3, 4096, 4097, 3 * 4096, levels_on_gpu.CHUNK + 4097])
def test_norms_are_added_in_one_order(d: int, device: str) -> None:
    """Heavy tails: another order gives other last digits for most of these."""
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(d).standard_t(2, d).astype(dtype)
        there = levels_on_gpu.sum_of_squares(torch.from_numpy(x).to(device))
        assert there == norms.sum_of_squares(x)
        assert levels_on_gpu.peak(torch.from_numpy(x).to(device)) == norms.peak(x)
