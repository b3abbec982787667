"""VGG: nothing but 3×3 convolutions, then three very large fully connected layers (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

__all__ = ["NETWORKS"]

_WIDTHS = (64, 128, 256, 512, 512)


def vgg(convolutions: tuple[int, ...]) -> nn.Module:
    """The configuration with this many convolutions in each of its five stages, without batch normalisation."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in zip(_WIDTHS, convolutions, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    )


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "vgg11": partial(vgg, (1, 1, 2, 2, 2)),
    "vgg16": partial(vgg, (2, 2, 3, 3, 3)),
    "vgg19": partial(vgg, (2, 2, 4, 4, 4)),
}
