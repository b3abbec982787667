"""Random weights for models that carry none worth the name.

The light models of the onnx wheel make all their weights with `ConstantOfShape(0.02)`; every output is then the
same number, and equality of outputs proves nothing. Here they get initialisers of the same shapes: He-scaled
normal weights (He et al. 2015), batch normalisations near identity, small biases.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.constants import constant_of
from rooftune.graph.load import load
from rooftune.graph.save import save_graph

__all__ = ["with_random_weights"]

MAX_ELEMENTS = 1 << 31
FIRST_WITHOUT_INPUTS = 4
"""First format version in which an initialiser need not be an input."""


def with_random_weights(
    model_path: str | Path, out_path: str | Path, seed: int = 0, *, end_with_logits: bool = False
) -> Path:
    """Write a copy of a model in which every generated weight is a seeded random initialiser.

    Generated means the output of a `ConstantOfShape` over a constant shape. Values follow the role of the
    weight in the operator that reads it; the same seed gives the same file. `end_with_logits` cuts a final
    Softmax: without training the logits are so large that it says 1 for one class whatever the input, and
    comparing such outputs proves nothing. Returns `out_path`.
    """
    model = load(model_path)
    graph = model.ir.graph
    for number, node in enumerate(list(graph)):
        if node.op_type != "ConstantOfShape":
            continue
        shape = constant_of(node.inputs[0])
        if shape is None:
            continue
        if math.prod(map(int, shape)) > MAX_ELEMENTS:
            raise InputError(f"the weight {node.outputs[0].name} has {shape.tolist()} elements", "use a smaller model")
        value = node.outputs[0]
        generator = np.random.default_rng([seed, number])
        array = _draw(generator, tuple(map(int, shape)), *_role(value))
        _replace(graph, node, value, array.astype((value.dtype or ir.DataType.FLOAT).numpy()))
    _drop_unread(graph)
    _keep_weights_out_of_inputs(graph)
    if end_with_logits:
        _cut_softmax(graph)
    model.ir.ir_version = max(model.ir.ir_version, FIRST_WITHOUT_INPUTS)
    return save_graph(model.ir, out_path)


def _role(value: ir.Value) -> tuple[str, int, int]:
    """Operator that reads a weight, the place of the weight among its inputs, and the inputs each output sums."""
    for node, place in value.uses():
        if node.op_type in ("Reshape", "Transpose", "Identity", "Unsqueeze", "Squeeze") and place == 0:
            return _role(node.outputs[0])
        if node.op_type in ("Conv", "ConvTranspose") and place == 1:
            dims = _numbers(value)
            group = node.attributes.get_int("group", 1) if node.op_type == "ConvTranspose" else 1
            summed = dims[1:] if node.op_type == "Conv" else (dims[0] // (group or 1), *dims[2:])
            return "weight", place, math.prod(summed)
        if node.op_type in ("Gemm", "MatMul") and place == 1:
            dims = _numbers(value)
            transposed = node.op_type == "Gemm" and node.attributes.get_int("transB")
            return "weight", place, dims[-1] if transposed else dims[-2] if len(dims) > 1 else dims[0]
        if node.op_type == "BatchNormalization":
            return ("data", "scale", "bias", "mean", "variance")[place], place, 1
        if node.op_type == "Mul":
            return "scale", place, 1
    return "bias", 0, 1


def _numbers(value: ir.Value) -> tuple[int, ...]:
    return tuple(d if isinstance(d, int) else 1 for d in value.shape or (1,))


def _draw(
    generator: np.random.Generator, shape: tuple[int, ...], role: str, place: int, summed: int
) -> npt.NDArray[Any]:
    if role == "weight":
        return generator.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / max(summed, 1)))
    if role == "variance":
        return generator.uniform(0.5, 1.5, shape)
    if role == "scale":
        return 1 + 0.1 * generator.standard_normal(shape, np.float32)
    return 0.05 * generator.standard_normal(shape, np.float32)


def _replace(graph: ir.Graph, node: ir.Node, value: ir.Value, array: npt.NDArray[Any]) -> None:
    """Put an initialiser of the same name in the place of a node."""
    name = value.name
    value.name = f"{name}_generated"
    weight = ir.Value(
        name=name,
        type=value.type,
        shape=ir.Shape(array.shape),
        const_value=ir.Tensor(array, name=name),
    )
    value.replace_all_uses_with(weight, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    graph.register_initializer(weight)


def _drop_unread(graph: ir.Graph) -> None:
    """Take away shape constants whose only reader is gone."""
    unread = [v for v in graph.initializers.values() if not v.uses() and not v.is_graph_output()]
    for value in unread:
        del graph.initializers[value.name or ""]
        if value.is_graph_input():
            graph.inputs.remove(value)


def _keep_weights_out_of_inputs(graph: ir.Graph) -> None:
    """Old formats list weights among the inputs; engines then take them for variable and fold nothing."""
    for value in [v for v in graph.inputs if v.is_initializer()]:
        graph.inputs.remove(value)


def _cut_softmax(graph: ir.Graph) -> None:
    for place, output in enumerate(list(graph.outputs)):
        softmax = output.producer()
        if softmax is not None and softmax.op_type == "Softmax" and softmax.inputs[0] is not None:
            graph.outputs[place] = softmax.inputs[0]
            graph.remove(softmax, safe=True)
