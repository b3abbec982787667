"""Small models the engines are asked to run, written to a folder; weights are seeded and differ everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Specs = dict[str, tuple[int, list[Any]]]


class Builder:
    """Collects nodes and weights of one graph; values and nodes are numbered, nodes have no names unless asked."""

    def __init__(self, named: bool = False) -> None:
        self.named = named
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(7)

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"value{len(self.nodes)}"
        name = f"{op.lower()}{len(self.nodes)}" if self.named else ""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, domain=domain, **attributes))
        return output

    def weight(self, *shape: int, scale: float | None = None, positive: bool = False) -> str:
        fan = float(np.prod(shape[1:])) if len(shape) > 1 else 1.0
        values = self.random.standard_normal(shape) * (scale if scale is not None else np.sqrt(2 / fan))
        if positive:
            values = self.random.uniform(0.5, 1.5, shape)
        return self.constant(values.astype(np.float32))

    def constant(self, values: Any) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def save(self, path: Path, inputs: Specs, outputs: Specs) -> Path:
        def infos(specs: Specs) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, *spec) for name, spec in specs.items()]

        graph = helper.make_graph(self.nodes, "test", infos(inputs), infos(outputs), self.weights)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("example.custom", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def convolutions(path: Path, batch: int | str = 1, size: int = 32, named: bool = False) -> Path:
    """Convolution blocks with a residual sum, a depthwise convolution, pooling and a classifier."""
    b = Builder(named)

    def block(x: str, cin: int, cout: int, groups: int = 1, relu: bool = True) -> str:
        y = b.add("Conv", x, b.weight(cout, cin // groups, 3, 3), pads=[1] * 4, group=groups)
        y = b.add(
            "BatchNormalization", y, b.weight(cout, positive=True), b.weight(cout, scale=0.1),
            b.weight(cout, scale=0.1), b.weight(cout, positive=True),
        )  # fmt: skip
        return b.add("Relu", y) if relu else y

    x = block("image", 3, 16)
    x = b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.add("Relu", b.add("Add", x, block(block(x, 16, 16), 16, 16, relu=False)))
    x = block(x, 16, 16, groups=16)
    x = b.add("Flatten", b.add("GlobalAveragePool", x))
    x = b.add("Gemm", x, b.weight(10, 16), b.weight(10, scale=0.1), transB=1)
    return b.save(path, {"image": (TensorProto.FLOAT, [batch, 3, size, size])}, {x: (TensorProto.FLOAT, [batch, 10])})


def attention(path: Path, length: int = 32, width: int = 64, heads: int = 4) -> Path:
    """One transformer block, written out in small operators as exporters do."""
    b = Builder()

    def linear(x: str, cin: int, cout: int) -> str:
        return b.add("Add", b.add("MatMul", x, b.weight(cin, cout, scale=cin**-0.5)), b.weight(cout, scale=0.1))

    def split(x: str, perm: list[int]) -> str:
        shape = b.constant(np.array([0, length, heads, width // heads]))
        return b.add("Transpose", b.add("Reshape", x, shape), perm=perm)

    q, k, v = (split(linear("tokens", width, width), p) for p in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    scores = b.add("Div", b.add("MatMul", q, k), b.constant(np.float32((width / heads) ** 0.5)))
    mixed = b.add("Transpose", b.add("MatMul", b.add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    x = b.add("Add", "tokens", linear(b.add("Reshape", mixed, b.constant(np.array([0, length, width]))), width, width))
    x = b.add("LayerNormalization", x, b.weight(width, positive=True), b.weight(width, scale=0.1), axis=-1)
    hidden = b.add("Relu", linear(x, width, 4 * width))
    x = b.add("Add", x, linear(hidden, 4 * width, width))
    shape = [1, length, width]
    return b.save(path, {"tokens": (TensorProto.FLOAT, shape)}, {x: (TensorProto.FLOAT, shape)})


def sums(path: Path, dtype: int, shape: list[Any] | None = None) -> Path:
    """Two inputs of one element type, their sum with one of them again."""
    b = Builder()
    total = b.add("Add", b.add("Add", "left", "right"), "left")
    spec = (dtype, shape or [4, 5])
    return b.save(path, {"left": spec, "right": spec}, {total: spec})


def strangers(path: Path) -> Path:
    """An operator no engine knows."""
    b = Builder()
    out = b.add("Frobnicate", "x", domain="example.custom")
    return b.save(path, {"x": (TensorProto.FLOAT, [4])}, {out: (TensorProto.FLOAT, [4])})


def masks(path: Path) -> Path:
    """A boolean input, an integer index into a table, and a float output."""
    b = Builder()
    table = b.weight(8, 6)
    rows = b.add("Gather", table, "index", axis=0)
    out = b.add("Where", "mask", rows, b.add("Neg", rows))
    return b.save(
        path,
        {"mask": (TensorProto.BOOL, [3, 6]), "index": (TensorProto.INT64, [3])},
        {out: (TensorProto.FLOAT, [3, 6])},
    )
