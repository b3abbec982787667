"""A small MobileNetV2: inverted residual blocks over depthwise convolutions, for 32×32 grey images."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["SmallMobileNet"]

STEM_CHANNELS = 16
HEAD_CHANNELS = 128

BLOCKS = ((1, 16, 1), (4, 24, 1), (4, 24, 1), (4, 40, 2), (4, 40, 1), (4, 64, 2), (4, 64, 1))
"""Expansion, output channels and stride of each block, in order."""


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias and its batch normalisation, which brings the bias."""
    padding = side // 2
    return [
        nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """Expand by 1×1, filter each channel by 3×3, project by 1×1 (Sandler et al. 2018, MobileNetV2).

    The input is added where the block keeps its shape. No activation follows the projection: the paper's linear
    bottleneck.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [*_convolution(inputs, hidden, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            *_convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU6(),
            *_convolution(hidden, outputs, 1),
        )
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.keeps_shape else y


class SmallMobileNet(nn.Module):
    """float32[N, 1, 32, 32] to logits float32[N, classes]; the stem and two blocks halve the picture to 4×4."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(1, STEM_CHANNELS, 3, stride=2), nn.ReLU6())
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for expansion, outputs, stride in BLOCKS:
            blocks.append(InvertedResidual(channels, outputs, expansion, stride))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(*_convolution(channels, HEAD_CHANNELS, 1), nn.ReLU6())
        self.classifier = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(self.blocks(self.stem(images)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
