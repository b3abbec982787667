"""The work of every node of a model: types from the graph, formulas from `ops`, bodies added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir

from rooftune.analysis.tensors import FlatTensors, Tensor, TensorTable
from rooftune.graph.flat import FlatNode
from rooftune.graph.functions import function_body
from rooftune.graph.model import Model
from rooftune.ops import Operator, Work, find
from rooftune.quantities import Unknown

__all__ = ["NodeWork", "attributes_of", "model_work", "node_work"]

_FUNCTION_DEPTH = 16


@dataclass(frozen=True)
class NodeWork:
    """One node of the graph with its work.

    `inputs` and `outputs` keep their ONNX positions; absent optional ones are None. Behind them `inputs` has what the
    graphs inside the node read from outside. `folded` nodes compute
    from constants alone: every engine runs them once at load time, so they count for nothing at run time.
    `view` nodes give their output the input's memory.
    """

    name: str
    op: str
    domain: str
    work: Work | Unknown
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    folded: bool = False
    view: bool = False
    attributes: Mapping[str, Any] | None = None


def model_work(model: Model) -> tuple[NodeWork, ...]:
    """Work of every node of the main graph, in execution order; never raises for a node it does not know."""
    flat = model.flat
    if flat is not None:
        tensors = FlatTensors(flat)
        return tuple([_flat_work(node, tensors) for node in flat.nodes])
    table = TensorTable(model)
    return tuple(node_work(node, table) for node in model.ir.graph)


def node_work(node: onnx_ir.Node, table: TensorTable) -> NodeWork:
    """Work of one node: its own formula, the sum of its function body, or of the graphs it runs."""
    from rooftune.analysis.control_flow import captured_values

    inputs = tuple(None if v is None else table.tensor(v) for v in (*node.inputs, *captured_values(node)))
    # an optional output nobody reads, such as the mask of a Dropout, is not made
    outputs = tuple(
        table.tensor(v) if i == 0 or v.uses() or v.is_graph_output() else None for i, v in enumerate(node.outputs)
    )
    folded = table.is_folded(node)
    described = find(node.domain, node.op_type)
    attributes = attributes_of(node)
    if folded or described is not None:
        work = _own_work(described, attributes, inputs, outputs, folded)
    else:
        work = _work_of_parts(node, table, inputs, outputs)
    view = described is not None and described.is_view
    return NodeWork(node.name or "", node.op_type, node.domain, work, inputs, outputs, folded, view, attributes)


def _flat_work(node: FlatNode, tensors: FlatTensors) -> NodeWork:
    """Work of a node of a flat graph, whose operators all have formulas."""
    folded = tensors.is_folded(node)
    inputs, outputs = tensors.inputs(node), tensors.outputs(node)
    work = _own_work(node.operator, node.attributes, inputs, outputs, folded)
    view = node.operator.is_view
    return NodeWork(node.name, node.op_type, node.domain, work, inputs, outputs, folded, view, node.attributes)


def _own_work(
    described: Operator | None,
    attributes: Mapping[str, Any],
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor | None],
    folded: bool,
) -> Work | Unknown:
    """Work of a node by its formula; a folded one needs none."""
    if folded or described is None:
        # computed once when the model is loaded; the result is a weight to whoever reads it
        return Work(reads=(0,) * len(inputs), writes=(0,) * len(outputs))
    types = [None if t is None else t.type for t in inputs]
    return described.work(attributes, types, [None if t is None else t.type for t in outputs])


def _work_of_parts(
    node: onnx_ir.Node,
    table: TensorTable,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor | None],
    depth: int = 0,
) -> Work | Unknown:
    from rooftune.analysis.control_flow import control_flow_work

    inside = control_flow_work(node, table)
    if inside is None:
        body = None if depth > _FUNCTION_DEPTH else function_body(node, table.model.opset, table.model.ir.functions)
        if body is None:
            return Unknown(f"no formula for {node.domain or 'ai.onnx'}::{node.op_type}")
        inside = sum_of_nodes(body, table.inside())
    if isinstance(inside, Unknown):
        return inside
    # what passes between the parts stays inside; the node moves its own inputs and outputs
    return Work(
        macs=inside.macs,
        padding_macs=inside.padding_macs,
        elementwise=inside.elementwise,
        format=inside.format,
        reads=tuple(0 if t is None else t.bytes for t in inputs),
        writes=tuple(0 if t is None else t.bytes for t in outputs),
    )


def sum_of_nodes(nodes: Sequence[onnx_ir.Node], table: TensorTable) -> Work | Unknown:
    """Arithmetic of several nodes added up; the first unknown part makes the sum unknown."""
    parts = []
    for node in nodes:
        part = node_work(node, table).work
        if isinstance(part, Unknown):
            return Unknown(f"{node.op_type} inside: {part.reason}")
        parts.append(part)
    return add_works(parts)


def add_works(parts: Sequence[Work]) -> Work:
    """Arithmetic of several works added up; bytes are left to the caller, who knows what stays inside."""
    elementwise: dict[str, Any] = {}
    for part in parts:
        for kind, count in part.elementwise.items():
            elementwise[kind] = elementwise.get(kind, 0) + count
    heaviest = max(parts, key=lambda p: p.macs if isinstance(p.macs, int) else 0, default=None)
    return Work(
        macs=sum((p.macs for p in parts), start=0),
        padding_macs=sum((p.padding_macs for p in parts), start=0),
        elementwise=elementwise,
        format=heaviest.format if heaviest is not None else None,
    )


def attributes_of(node: onnx_ir.Node) -> dict[str, Any]:
    """Plain values of a node's attributes; graphs, tensors and references to function attributes are left out."""
    plain = (
        onnx_ir.AttributeType.INT,
        onnx_ir.AttributeType.INTS,
        onnx_ir.AttributeType.FLOAT,
        onnx_ir.AttributeType.FLOATS,
        onnx_ir.AttributeType.STRING,
        onnx_ir.AttributeType.STRINGS,
    )
    return {a.name: a.value for a in node.attributes.values() if a.type in plain and not a.is_ref()}
