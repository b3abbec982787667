"""Small models with something special about them, written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def value(name: str, shape: Sequence[int | str | None] | None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), name)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("example.custom", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def dense(rows: int | str = 2) -> onnx.ModelProto:
    """y = relu(x · w) with x of `rows` x 16 and w of 16 x 12."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
        helper.make_node("Relu", ["p"], ["y"], name="relu"),
    ]
    return model(nodes, [value("x", [rows, 16])], [value("y", [rows, 12])], [weight("w", 16, 12)])


def branching(path: Path) -> Path:
    def branch(*nodes: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph(list(nodes), "branch", [], [value("r", [4, 8])])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], name="sum", keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["c"], name="positive"),
        helper.make_node(
            "If",
            ["c"],
            ["y"],
            name="choice",
            then_branch=branch(helper.make_node("MatMul", ["x", "w"], ["r"], name="product")),
            else_branch=branch(helper.make_node("Neg", ["x"], ["r"], name="negative")),
        ),
    ]
    constants = [weight("w", 8, 8), numpy_helper.from_array(np.float32(0), "zero")]
    onnx.save(model(nodes, [value("x", [4, 8])], [value("y", [4, 8])], constants), path)
    return path


def custom_operator(path: Path) -> Path:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
        helper.make_node("Frobnicate", ["p"], ["y"], name="stranger", domain="example.custom"),
    ]
    onnx.save(model(nodes, [value("x", [4, 16])], [value("y", [4, 12])], [weight("w", 16, 12)]), path)
    return path


def zero_size(path: Path) -> Path:
    """Joins an input of no rows with one of four and multiplies; an empty output beside the full one."""
    nodes = [
        helper.make_node("Concat", ["none", "x"], ["all"], name="join", axis=0),
        helper.make_node("MatMul", ["all", "w"], ["y"], name="product"),
        helper.make_node("MatMul", ["none", "w"], ["z"], name="nothing"),
    ]
    inputs = [value("none", [0, 8]), value("x", [4, 8])]
    onnx.save(model(nodes, inputs, [value("y", [4, 6]), value("z", [0, 6])], [weight("w", 8, 6)]), path)
    return path


def lookup(path: Path, rows: int) -> Path:
    """Forty rows of a table, chosen by an input."""
    nodes = [helper.make_node("Gather", ["table", "index"], ["y"], name="rows", axis=0)]
    inputs = [value("index", [40], INT64)]
    onnx.save(model(nodes, inputs, [value("y", [40, 6])], [weight("table", rows, 6)]), path)
    return path


def constant_output(path: Path) -> Path:
    """An output that is the same number whatever the input: a check of it proves nothing."""
    nodes = [
        helper.make_node("Mul", ["x", "zero"], ["m"], name="mul"),
        helper.make_node("Add", ["m", "three"], ["y"], name="add"),
    ]
    constants = [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(3), "three")]
    onnx.save(model(nodes, [value("x", [4, 8])], [value("y", [4, 8])], constants), path)
    return path


def external(path: Path, location: str = "weights.bin", **more: Any) -> Path:
    """`dense` with its weights in a file of their own, which is written as well."""
    proto = dense()
    tensor = proto.graph.initializer[0]
    data = tensor.raw_data
    refer(tensor, location, length=len(data), **more)
    path.write_bytes(proto.SerializeToString())
    target = path.parent / location
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return path


def refer(tensor: onnx.TensorProto, location: str, **more: Any) -> None:
    """Let a tensor's data lie in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(text))
