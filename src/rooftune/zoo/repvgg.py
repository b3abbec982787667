"""RepVGG: three branches to train, one 3×3 convolution to run (Ding et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import GlobalPool

__all__ = ["NETWORKS", "merge_branches"]

# width and blocks of each stage at A0's multipliers 0.75 and 2.5; the first block of a stage halves the plane
_A0 = ((48, 1), (48, 2), (96, 4), (192, 14), (1280, 1))


class _BranchNorm(nn.BatchNorm2d):
    """Batch normalisation at the end of a branch, drawn small, so that the sum of the branches keeps its scale.

    Unscaled, the signal would grow ten-thousandfold along the network, and no bias of a late block would be seen.
    """

    initial_gain = 0.6


class _Branch(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = _BranchNorm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.norm(self.conv(x))
        return y


class _Block(nn.Module):
    """3×3, 1×1 and, where the shape stays, the input itself; each normalised, then summed."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.wide = _Branch(inputs, outputs, 3, stride)
        self.narrow = _Branch(inputs, outputs, 1, stride)
        self.same = _BranchNorm(inputs) if inputs == outputs and stride == 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.wide(x) + self.narrow(x)
        return torch.relu(y if self.same is None else y + self.same(x))


class _MergedBlock(nn.Module):
    """What is left of a block to run."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def repvgg(stages: Sequence[tuple[int, int]], block: Callable[[int, int, int], nn.Module]) -> nn.Module:
    """Stages of this width and this many blocks at 224×224; `block` makes one from inputs, outputs and stride."""
    layers: list[nn.Module] = []
    channels = 3
    for width, count in stages:
        for index in range(count):
            layers.append(block(channels, width, 2 if index == 0 else 1))
            channels = width
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


def merge_branches(module: nn.Module) -> nn.Module:
    """The network to run, computed from the weights of the network to train; both give the same numbers.

    A normalisation after a convolution scales its kernels and shifts its bias; a 1×1 kernel is the centre of a 3×3,
    and the input itself is the kernel that is 1 at the centre of its own channel. Sums of branches are sums of kernels.
    Worked out in double precision. The classifier is shared with `module`.
    """
    with torch.no_grad():
        layers = [_merge(part) if isinstance(part, _Block) else part for part in module.children()]
    return nn.Sequential(*layers).eval()


def _merge(block: _Block) -> nn.Module:
    conv = block.wide.conv
    outputs = conv.out_channels
    merged = _MergedBlock(conv.in_channels, outputs, conv.stride[0])
    branches: list[tuple[torch.Tensor, nn.BatchNorm2d]] = [(b.conv.weight, b.norm) for b in (block.wide, block.narrow)]
    if block.same is not None:
        branches.append((torch.eye(outputs)[:, :, None, None], block.same))
    kernel = torch.zeros(conv.weight.shape, dtype=torch.float64)
    bias = torch.zeros(outputs, dtype=torch.float64)
    for weight, norm in branches:
        assert norm.running_var is not None and norm.running_mean is not None
        gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        margin = (3 - weight.shape[-1]) // 2
        kernel += nn.functional.pad(weight.double(), [margin] * 4) * gain[:, None, None, None]
        bias += norm.bias.double() - norm.running_mean.double() * gain
    assert merged.conv.bias is not None
    merged.conv.weight.copy_(kernel)
    merged.conv.bias.copy_(bias)
    return merged


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "repvgg_a0_train": partial(repvgg, _A0, _Block),
    "repvgg_a0": partial(repvgg, _A0, _MergedBlock),
}
