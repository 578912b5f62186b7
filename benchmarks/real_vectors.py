"""Vectors as training makes them, and drawn ones beside them, the same in every run on one machine.

A network of two hidden layers learns digits and a small transformer learns Python's own sources,
half a minute in all. Kept from each: a worker's gradient; gradient + memory, which is what error
feedback encodes; and an outer step, the sum of 20 local steps of AdamW. They are written below
build/ and read from there until what makes them changes: python -m benchmarks.real_vectors.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from examples import language_model
from paper_code import EntropyCodedSparseDithering
from paper_code.companion import files

from .schemes import Vector

WORKERS = 4
FEEDBACK = EntropyCodedSparseDithering(0.785)  # what the workers send while they train
Loss = Callable[[int, int], torch.Tensor]
"""Of a worker in a step."""
WARM_UP, LOCAL_STEPS = 200, 20
LONG = 1 << 20  # coordinates of the drawn ones


def vectors() -> dict[str, Vector]:
    """Every vector by its name: drawn ones, then those of training."""
    return drawn(LONG) | trained()


def drawn(d: int) -> dict[str, Vector]:
    """Independent coordinates of several laws, normal ones sorted, and layers of eight scales."""
    rng = np.random.default_rng(16)
    normal = rng.standard_normal(d)
    scales = 10.0 ** np.array([-3, 1, -1, 0, -2, 0.5, -0.5, -3])
    found = {
        "normal": normal,
        "Laplace": rng.laplace(size=d),
        "t(2)": rng.standard_t(2, d),
        "t(3)": rng.standard_t(3, d),
        "sparse 1 %": normal * (rng.random(d) < 0.01),
        "sorted": np.sort(normal),
        "layers": normal * scales[np.arange(d) * len(scales) // d],
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


def trained() -> dict[str, Vector]:
    """Vectors of both trainings."""
    sources = b"".join(Path(part).read_bytes() for part in (__file__, language_model.__file__))
    version = zlib.crc32(sources + torch.__version__.encode())
    kept = files.ROOT / "build" / "real_vectors" / f"{version:08x}.npz"
    if not kept.exists():
        held = io.BytesIO()
        np.savez(held, **dict(_capture()))
        files.atomic_write(kept, held.getvalue())
    with np.load(kept) as found:
        return dict(found)


def _capture() -> Iterator[tuple[str, Vector]]:
    """Train each, and name what comes by."""
    torch.set_num_threads(1)  # else sums depend on how many there are
    for name, (task, rate) in {"MLP": (_digits, 1e-3), "transformer": (_text, 3e-3)}.items():
        model, loss = task()
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
        _local_steps(model, loss, optimiser, range(WARM_UP))
        outer = _local_steps(model, loss, optimiser, range(WARM_UP, WARM_UP + LOCAL_STEPS))
        gradient, encoded = _with_feedback(model, loss, optimiser, range(1000, 1000 + LOCAL_STEPS))
        yield f"{name}, gradient", gradient
        yield f"{name}, gradient + memory", encoded
        yield f"{name}, outer step", outer


def _digits() -> tuple[torch.nn.Module, Loss]:
    """A network of 70,000 parameters on handwritten digits."""
    torch.manual_seed(0)
    hidden = [torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 200), torch.nn.ReLU()]
    model = torch.nn.Sequential(*hidden, torch.nn.Linear(200, 10))
    images, labels = load_digits(return_X_y=True)
    pixels, digits = torch.from_numpy(images.astype(np.float32) / 16), torch.from_numpy(labels)

    def loss(rank: int, step: int) -> torch.Tensor:
        share = np.random.default_rng([rank, step]).integers(len(digits) // WORKERS, size=32)
        rows = WORKERS * share + rank
        return torch.nn.functional.cross_entropy(model(pixels[rows]), digits[rows])

    return model, loss


def _text() -> tuple[torch.nn.Module, Loss]:
    """A transformer of 615,000 parameters on characters of Python's standard library."""
    model, text = language_model.Transformer(0), language_model.read_text()
    return model, lambda rank, step: model(*text.batch(8, 0, rank, step))


def _local_steps(
    model: torch.nn.Module, loss: Loss, optimiser: torch.optim.Optimizer, steps: range
) -> Vector:
    """The first worker alone: the model before its steps less the model after them."""
    before = _flat(part.detach() for part in model.parameters())
    for step in steps:
        optimiser.zero_grad()
        loss(0, step).backward()
        optimiser.step()
    return before - _flat(part.detach() for part in model.parameters())


def _with_feedback(
    model: torch.nn.Module, loss: Loss, optimiser: torch.optim.Optimizer, steps: range
) -> tuple[Vector, Vector]:
    """The first worker's gradient in the last step, and what it encodes: gradient + memory."""
    parameters = list(model.parameters())
    memories = np.zeros((WORKERS, sum(part.numel() for part in parameters)), np.float32)
    for step in steps:
        mean = np.zeros_like(memories[0])
        for rank in reversed(range(WORKERS)):  # the first one comes last, and is kept
            optimiser.zero_grad()
            loss(rank, step).backward()
            gradient = _flat(part.grad for part in parameters)
            encoded = gradient + memories[rank]
            held = FEEDBACK(encoded)
            memories[rank] = encoded - held
            mean += held / np.float32(WORKERS)
        torch.nn.utils.vector_to_parameters(torch.from_numpy(mean), [p.grad for p in parameters])
        optimiser.step()
    return gradient, encoded


def _flat(parts: Iterator[torch.Tensor]) -> Vector:
    return np.concatenate([part.numpy().ravel() for part in parts])


if __name__ == "__main__":
    for name, x in vectors().items():
        print(f"{name:32} {x.size:9} coordinates, norm {np.linalg.norm(x):.4g}")
