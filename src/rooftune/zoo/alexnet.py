"""AlexNet in its single-column form (Krizhevsky 2014, "One weird trick")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

__all__ = ["NETWORKS"]


def alexnet() -> nn.Module:
    """Five convolutions and three fully connected layers, which hold 96 % of the parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    )


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"alexnet": alexnet}
