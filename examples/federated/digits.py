"""Scikit-learn's digits, shared out to clients, and a small network that learns to read them."""

import numpy as np
import torch
from sklearn.datasets import load_digits

TRAIN_IMAGES = 1437
Images = tuple[torch.Tensor, torch.Tensor]


def images() -> tuple[Images, Images]:
    """Pixels and labels of the training images, and of the test images."""
    data = load_digits()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(data.target)))
    pixels, labels = (
        torch.from_numpy(data.data.astype(np.float32) / 16),
        torch.from_numpy(data.target),
    )
    train, test = order[:TRAIN_IMAGES], order[TRAIN_IMAGES:]
    return (pixels[train], labels[train]), (pixels[test], labels[test])


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 256), torch.nn.Linear(256, 200), torch.nn.Linear(200, 10)]
    return torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])


def train(model: torch.nn.Module, share: Images, epochs: int, seed: list[int]) -> None:
    """Go ``epochs`` times through the images of ``share``, 32 a step."""
    pixels, labels = share
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    shuffle = np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in torch.from_numpy(shuffle.permutation(len(labels))).split(32):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
            optimiser.step()


def accuracy(model: torch.nn.Module) -> float:
    """On the test images, in per cent."""
    _, (pixels, labels) = images()
    with torch.no_grad():
        return 100 * float((model(pixels).argmax(1) == labels).float().mean())
