"""BERT: a transformer encoder over tokens, with its embeddings and its pooler (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import SelfAttention

__all__ = ["NETWORKS", "VOCABULARY"]

VOCABULARY = 30522
_LONGEST = 512
_EPSILON = 1e-12


class _Layer(nn.Module):
    """Attention and perceptron, each added to its input and normalised after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention_norm(x + self.attention(x))
        y: torch.Tensor = self.norm(x + self.perceptron(x))
        return y


class _Bert(nn.Module):
    """Token and segment numbers [N, S] and their positions [1, S] to the last hidden state and the pooled first token.

    Positions are an input, so that the table they select from stays whole in an exported graph.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(_LONGEST, width)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.layers = nn.Sequential(*(_Layer(width, heads) for _ in range(layers)))
        self.pooler = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(
        self, tokens: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.norm(self.tokens(tokens) + self.segments(segments) + self.places(positions))
        x = self.layers(x)
        return x, self.pooler(x[:, 0])


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"bert_base": partial(_Bert, 768, 12, 12)}
