"""VoVNet: plain convolutions whose outputs are all joined once, at the end of a block (Lee et al. 2019).

The form known as VoVNetV2 (Lee and Park 2020): shortcuts between the blocks of a stage, and a gate on its channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]

_LAYERS = 5
"""3×3 convolutions in a block."""

# width inside a block, output channels, blocks: VoVNet-39
_STAGES = (
    (128, 256, 1),
    (160, 512, 1),
    (192, 768, 2),
    (224, 1024, 2),
)


class _EffectiveExcitation(nn.Module):
    """Squeeze-excitation by one layer, which keeps all channels where two would lose some (Lee and Park 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x * self.gate(x)
        return y


class _OneShotAggregation(nn.Module):
    """A chain of 3×3 convolutions; the input and every link are joined and mixed once."""

    def __init__(self, inputs: int, width: int, outputs: int, excited: bool, shortcut: bool) -> None:
        super().__init__()
        self.chain = nn.ModuleList(ConvNorm(inputs if link == 0 else width, width, 3) for link in range(_LAYERS))
        self.mix = ConvNorm(inputs + _LAYERS * width, outputs)
        self.excitation = _EffectiveExcitation(outputs) if excited else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        links = [x]
        for conv in self.chain:
            links.append(conv(links[-1]))
        y: torch.Tensor = self.excitation(self.mix(torch.cat(links, dim=1)))
        return x + y if self.shortcut else y


def vovnet() -> nn.Module:
    """VoVNetV2-39 at 224×224; the last block of each stage is excited, all but the first have a shortcut."""
    layers: list[nn.Module] = [ConvNorm(3, 64, 3, 2), ConvNorm(64, 64, 3), ConvNorm(64, 128, 3, 2)]
    channels = 128
    for stage, (width, outputs, blocks) in enumerate(_STAGES):
        if stage > 0:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        for index in range(blocks):
            excited = index == blocks - 1
            layers.append(_OneShotAggregation(channels, width, outputs, excited, shortcut=index > 0))
            channels = outputs
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"ese_vovnet39b": vovnet}
