"""Vectors to compress, of unit power a coordinate: drawn ones and a gradient of a real network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paper_code.evaluation import sample_vectors

from .schemes import Vector


def gradient(d: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """d coordinates of a gradient: a network of two hidden layers learns handwritten digits.

    Twenty steps on batches of 128, then the gradient of one more. Needs scikit-learn, whose digits
    come with it.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    width = math.ceil(math.sqrt(d))
    sizes = (images.shape[1], width, width, 10)
    layers = [
        rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / shape[0]))
        for shape in itertools.pairwise(sizes)
    ]
    for _ in range(21):
        rows = rng.integers(len(images), size=128)
        grads = _gradients(layers, images[rows].astype(np.float32) / 16, labels[rows])
        for layer, grad in zip(layers, grads, strict=True):
            layer -= np.float32(0.05) * grad
    return np.concatenate([grad.ravel() for grad in (grads[1], grads[0], grads[2])])[:d]


def _gradients(
    layers: list[NDArray[np.float32]], x: NDArray[np.float32], labels: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """Of the cross-entropy: rectified layers, a softmax at the end."""
    inputs = [x]
    for layer in layers:
        inputs.append(
            np.maximum(inputs[-1] @ layer, 0) if layer is not layers[-1] else inputs[-1] @ layer
        )
    scores = np.exp(inputs[-1] - inputs[-1].max(axis=1, keepdims=True))
    back = scores / scores.sum(axis=1, keepdims=True)
    back[np.arange(len(labels)), labels] -= 1
    back /= len(labels)
    grads = []
    for layer, held in zip(layers[::-1], inputs[-2::-1], strict=True):
        grads.append(held.T @ back)
        back = (back @ layer.T) * (held > 0)
    return grads[::-1]


KINDS: dict[str, Callable[[int, np.random.Generator], NDArray[np.floating]]] = {
    "Gaussian": sample_vectors.gaussian,
    "Student-t(3)": sample_vectors.heavy_tailed,
    "1 % sparse": sample_vectors.sparse,
    "real gradient": gradient,
}


def draw(kind: str, d: int) -> Vector:
    """The vector of a kind, the same in every run on one machine, with ||x||^2 = d."""
    x = KINDS[kind](d, np.random.default_rng(d)).astype(np.float64)
    return (x * math.sqrt(d / np.sum(x**2))).astype(np.float32)
