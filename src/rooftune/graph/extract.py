"""A few nodes of a model as a model of their own, for running them alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.graph.model import Model
from rooftune.graph.save import save_graph

__all__ = ["extract_nodes", "with_channels_rounded_up"]


def extract_nodes(model: Model, names: Sequence[str], path: Path) -> bool:
    """Write the named nodes of the main graph as a model: what they read becomes its inputs, constants stay.

    Constants computed by other nodes are drawn at random in their shape (their values do not matter for time).
    Returns False, writing nothing, where a shape is open or a value is no tensor.
    """
    chosen = set(names)
    nodes = [n for n in model.ir.graph if n.name in chosen]
    if not nodes or any(
        a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for n in nodes for a in n.attributes.values()
    ):
        return False
    made = {id(v) for n in nodes for v in n.outputs}
    new: dict[int, ir.Value] = {}
    inputs: list[ir.Value] = []
    initializers: list[ir.Value] = []
    for node in nodes:
        for value in node.inputs:
            if value is None or id(value) in made or id(value) in new:
                continue
            copy = _outer(value)
            if copy is None:
                return False
            new[id(value)] = copy
            (initializers if copy.const_value is not None else inputs).append(copy)
    copies: list[ir.Node] = []
    outputs: list[ir.Value] = []
    for node in nodes:
        fresh = [ir.Value(name=v.name, shape=v.shape, type=v.type) for v in node.outputs]
        copies.append(
            ir.Node(
                node.domain,
                node.op_type,
                [None if v is None else new[id(v)] for v in node.inputs],
                list(node.attributes.values()),
                outputs=fresh,
                name=node.name,
            )
        )
        for old, made_value in zip(node.outputs, fresh, strict=True):
            new[id(old)] = made_value
            outside = any(user not in nodes for user, _ in old.uses()) or old.is_graph_output()
            if outside:
                outputs.append(made_value)
    if not outputs or not all(_is_settled(v) for v in (*inputs, *outputs)):
        return False
    graph = ir.Graph(
        inputs,
        outputs,
        nodes=copies,
        initializers=initializers,
        opset_imports=dict(model.ir.opset_imports),
        name="alone",
    )
    save_graph(ir.Model(graph, ir_version=model.ir.ir_version), path)
    return True


def _is_settled(value: ir.Value) -> bool:
    return value.dtype is not None and value.shape is not None and all(isinstance(d, int) for d in value.shape)


def _outer(value: ir.Value) -> ir.Value | None:
    """A value from outside as an input, or as an initialiser when it is constant."""
    if not _is_settled(value):
        return None
    tensor = constant_tensor(value)
    copy = ir.Value(name=value.name, shape=value.shape, type=value.type)
    if tensor is not None:
        copy.const_value = tensor
    elif _from_constants_only(value):
        copy.const_value = _random_tensor(value)
    return copy


def _from_constants_only(value: ir.Value, depth: int = 12) -> bool:
    producer = value.producer()
    if producer is None or depth == 0:
        return False
    return all(
        v is None or constant_tensor(v) is not None or _from_constants_only(v, depth - 1) for v in producer.inputs
    )


def _random_tensor(value: ir.Value) -> ir.TensorProtocol:
    assert value.shape is not None and value.dtype is not None
    shape = [int(d) for d in value.shape if isinstance(d, int)]
    drawn = np.random.default_rng(0).standard_normal(shape) / max(1.0, math.sqrt(math.prod(shape[1:]) or 1))
    return ir.Tensor(drawn.astype(value.dtype.numpy()), name=value.name)


def with_channels_rounded_up(source: Path, path: Path, multiple: int) -> float | None:
    """A copy of a model of one ungrouped convolution with input and output channels rounded up to `multiple`.

    Returns by how much its multiply-accumulates grow (1 when it was aligned already), or None, writing nothing,
    where the model is not a single convolution with its epilogue.
    """
    model = ir.load(source)
    convolutions = [n for n in model.graph if n.op_type == "Conv"]
    others = {n.op_type for n in model.graph} - {"Conv", "Relu", "Clip", "Sigmoid", "LeakyRelu", "Tanh"}
    if len(convolutions) != 1 or others:
        return None
    node = convolutions[0]
    x, weight = node.inputs[0], node.inputs[1]
    group = node.attributes["group"].as_int() if "group" in node.attributes else 1
    if group != 1 or x is None or weight is None or weight.const_value is None or not _is_settled(x):
        return None
    old = weight.const_value.numpy()
    rounded = [-(-old.shape[0] // multiple) * multiple, -(-old.shape[1] // multiple) * multiple]
    growth = float(rounded[0] * rounded[1]) / float(old.shape[0] * old.shape[1])
    if growth == 1:
        return 1.0
    assert x.shape is not None
    for value, channels in ((x, rounded[1]), *((v, rounded[0]) for n in model.graph for v in n.outputs)):
        if value.shape is not None:
            dims = list(value.shape)
            dims[1] = channels
            value.shape = ir.Shape(dims)
    _widen(weight, (*rounded, *old.shape[2:]))
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and bias.const_value is not None:
        _widen(bias, (rounded[0],))
    save_graph(model, path)
    return growth


def _widen(value: ir.Value, shape: Sequence[int]) -> None:
    assert value.const_value is not None
    old = value.const_value.numpy()
    drawn = np.random.default_rng(0).standard_normal(shape).astype(old.dtype) * (old.std() or 1.0)
    value.const_value = ir.Tensor(drawn.astype(old.dtype), name=value.name)
    value.shape = ir.Shape(list(shape))
