"""Convolutions that real networks hold, for images of 224×224, and files in which one of them stands many times.

A file holds `copies` of the layer side by side, each with weights of its own, on one input. Behind each copy a pooling
takes one pixel of every channel and drops the rest, so that a run neither merges nor writes out the results: what two
files with different numbers of copies differ in is the layer alone, as it runs inside a network, without the
conversions of a model's inputs and outputs. The pooling costs some microseconds where an engine starts each operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CACHED", "LAYERS", "Layer"]

_OPSET, _IR = 17, 8
_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """A convolution with a bias: channels in and out, rows and columns of its input (`size`), what it does to them."""

    network: str
    inputs: int
    outputs: int
    size: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    dilation: int = 1

    @property
    def depthwise(self) -> bool:
        return self.groups == self.inputs == self.outputs

    @property
    def name(self) -> str:
        """`resnet50 1×1 64→256 @56`: unique among the layers."""
        words = [self.network, f"{self.kernel}×{self.kernel}", f"{self.inputs}→{self.outputs}"]
        if self.groups > 1:
            words.append("depthwise" if self.depthwise else f"groups {self.groups}")
        words += [f"/{self.stride}"] if self.stride > 1 else []
        words += [f"dilated {self.dilation}"] if self.dilation > 1 else []
        return " ".join([*words, f"@{self.size}"])

    @property
    def pad(self) -> int:
        return self.dilation * (self.kernel - 1) // 2

    @property
    def result(self) -> int:
        """Rows and columns of the output."""
        return (self.size + 2 * self.pad - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    @property
    def flops(self) -> int:
        """As the convolution is written, taps on padding included; a multiply-accumulate is 2."""
        return 2 * math.prod(self.weight_shape) * self.result**2

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.outputs, self.inputs // self.groups, self.kernel, self.kernel

    @property
    def weight_bytes(self) -> int:
        return _BYTES * math.prod(self.weight_shape)

    @property
    def map_bytes(self) -> int:
        """Of input and output."""
        return _BYTES * (self.inputs * self.size**2 + self.outputs * self.result**2)

    def parameters(self, copy: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights (normal, variance 2 / inputs summed) and biases of a copy; the same for the same number."""
        stream = np.random.default_rng([copy, self.inputs, self.outputs, self.kernel])
        scale = math.sqrt(2 / math.prod(self.weight_shape[1:]))
        weight = stream.standard_normal(self.weight_shape, np.float32) * np.float32(scale)
        return weight, stream.standard_normal(self.outputs, np.float32) * np.float32(0.1)

    def example(self) -> NDArray[np.float32]:
        """An input."""
        return np.random.default_rng(1).standard_normal((1, self.inputs, self.size, self.size), np.float32)

    def expected(self, copies: int) -> NDArray[np.float64]:
        """What a file of so many copies gives for `example`: the first pixel of each, in double precision."""
        reach = self.dilation * (self.kernel - 1) + 1
        around = ((0, 0), (self.pad, self.pad), (self.pad, self.pad))
        window = np.pad(self.example()[0].astype(np.float64), around)[
            :, : reach : self.dilation, : reach : self.dilation
        ]
        by_group = window.reshape(self.groups, -1)
        made = []
        for copy in range(copies):
            weight, bias = self.parameters(copy)
            rows = weight.astype(np.float64).reshape(self.groups, self.outputs // self.groups, -1)
            made.append(np.einsum("gok,gk->go", rows, by_group).reshape(-1) + bias)
        return np.concatenate(made).reshape(1, -1, 1, 1)

    def write(self, path: Path, copies: int) -> Path:
        """Write a file of so many copies."""
        nodes, numbers = [], []
        for copy in range(copies):
            weight, bias = self.parameters(copy)
            numbers += [numpy_helper.from_array(weight, f"w{copy}"), numpy_helper.from_array(bias, f"b{copy}")]
            nodes += [
                helper.make_node(
                    "Conv",
                    ["x", f"w{copy}", f"b{copy}"],
                    [f"c{copy}"],
                    f"layer{copy}",
                    kernel_shape=[self.kernel] * 2,
                    strides=[self.stride] * 2,
                    pads=[self.pad] * 4,
                    dilations=[self.dilation] * 2,
                    group=self.groups,
                ),
                helper.make_node(
                    "MaxPool", [f"c{copy}"], [f"p{copy}"], f"pick{copy}", kernel_shape=[1, 1], strides=[self.result] * 2
                ),
            ]
        nodes.append(helper.make_node("Concat", [f"p{copy}" for copy in range(copies)], ["y"], "picked", axis=1))
        shapes = {"x": [1, self.inputs, self.size, self.size], "y": [1, copies * self.outputs, 1, 1]}
        given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items())
        graph = helper.make_graph(nodes, "layer", [given], [made], numbers)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR), path)
        return path


LAYERS = (
    # 3×3 with stride 1, where Winograd's algorithm applies
    Layer("vgg16", 64, 64, 224),
    Layer("vgg16", 128, 128, 112),
    Layer("vgg16", 256, 256, 56),
    Layer("vgg16", 512, 512, 28),
    Layer("vgg16", 512, 512, 14),
    Layer("resnet50", 64, 64, 56),
    Layer("resnet50", 128, 128, 28),
    Layer("resnet50", 256, 256, 14),
    Layer("resnet50", 512, 512, 7),
    Layer("repvgg_a0", 192, 192, 14),
    # 1×1
    Layer("resnet50", 64, 256, 56, kernel=1),
    Layer("resnet50", 256, 64, 56, kernel=1),
    Layer("resnet50", 128, 512, 28, kernel=1),
    Layer("resnet50", 1024, 256, 14, kernel=1),
    Layer("resnet50", 512, 2048, 7, kernel=1),
    Layer("resnet50", 256, 512, 56, kernel=1, stride=2),
    Layer("ese_vovnet39b", 768, 256, 56, kernel=1),
    Layer("mobilenet_v1", 32, 64, 112, kernel=1),
    Layer("mobilenet_v1", 512, 512, 14, kernel=1),
    Layer("mobilenet_v1", 1024, 1024, 7, kernel=1),
    Layer("mobilenet_v2", 16, 96, 112, kernel=1),
    Layer("mobilenet_v2", 24, 144, 56, kernel=1),
    Layer("mobilenet_v2", 144, 24, 56, kernel=1),
    Layer("mobilenet_v2", 960, 160, 7, kernel=1),
    Layer("shufflenet_v2_x1_0", 58, 58, 28, kernel=1),
    Layer("shufflenet_v2_x1_0", 116, 116, 14, kernel=1),
    # first layers, and larger ones with a stride
    Layer("resnet50", 3, 64, 224, kernel=7, stride=2),
    Layer("mobilenet_v1", 3, 32, 224, stride=2),
    Layer("resnet50", 128, 128, 56, stride=2),
    Layer("resnet50", 512, 512, 14, stride=2),
    # depthwise
    Layer("mobilenet_v1", 32, 32, 112, groups=32),
    Layer("mobilenet_v2", 96, 96, 112, stride=2, groups=96),
    Layer("mobilenet_v2", 384, 384, 14, groups=384),
    Layer("mobilenet_v2", 960, 960, 7, groups=960),
    Layer("shufflenet_v2_x1_0", 58, 58, 28, groups=58),
    Layer("efficientnet_b0", 672, 672, 14, kernel=5, groups=672),
    Layer("mobilenet_v3_large", 72, 72, 56, kernel=5, stride=2, groups=72),
    # grouped, dilated, 5×5
    Layer("resnext50", 128, 128, 56, groups=32),
    Layer("deeplabv3_resnet50", 256, 256, 28, dilation=2),
    Layer("alexnet", 64, 192, 27, kernel=5),
)

CACHED = (
    Layer("cached", 64, 64, 28),
    Layer("cached", 96, 96, 14),
    Layer("cached", 128, 128, 28, kernel=1),
    Layer("cached", 256, 256, 14, kernel=1),
)
"""Layers of which two copies lie in a second-level cache of 1 MB, maps and weights together."""
