"""Vision transformer: an image as a sequence of patches (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import SelfAttention

__all__ = ["NETWORKS"]


class _Layer(nn.Module):
    """Attention and perceptron, each normalised before and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x))
        y: torch.Tensor = x + self.perceptron(x)
        return y


class _VisionTransformer(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, patch: int, size: int = 224) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (size // patch) ** 2, width))
        self.layers = nn.Sequential(*(_Layer(width, heads) for _ in range(layers)), nn.LayerNorm(width, eps=1e-6))
        self.classifier = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = self.patches(x).flatten(2).transpose(1, 2)
        token = self.class_token.expand(x.shape[0], -1, -1)
        y: torch.Tensor = self.layers(torch.cat((token, places), dim=1) + self.positions)
        logits: torch.Tensor = self.classifier(y[:, 0])
        return logits


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "vit_b_16": partial(_VisionTransformer, 768, 12, 12, 16),
    "vit_tiny_16": partial(_VisionTransformer, 192, 12, 3, 16),
}
