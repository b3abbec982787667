"""Parts of a graph that depend on constants alone, as models of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rooftune.graph.constants import constant_tensor

__all__ = ["ConstantPart", "constant_parts"]

MAX_BYTES = 1 << 20
"""A result may always be this large; beyond, it may not be larger than what it is computed from."""

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
# weights stay quantised in memory; the engine's kernels read them as they are
_KEPT = _RANDOM | {"DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear", "Constant"}


@dataclass(frozen=True)
class ConstantPart:
    """Nodes in running order, the constants they read, and those of their results that others read."""

    nodes: tuple[ir.Node, ...]
    constants: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    opsets: tuple[tuple[str, int], ...]

    @property
    def bytes_read(self) -> int:
        return sum(constant_tensor(v).nbytes for v in self.constants)

    @property
    def end(self) -> ir.Node:
        """The node that gives the outputs."""
        node = self.outputs[0].producer()
        assert node is not None
        return node

    @property
    def growth(self) -> int:
        """By how many bytes the file would grow by the results, where that is more than it may; else 0."""
        made, read = sum(_size(v) for v in self.outputs), self.bytes_read
        return made - read if made > max(MAX_BYTES, read) else 0

    @staticmethod
    def joined(parts: Sequence[ConstantPart]) -> ConstantPart:
        """Several parts as one, each node and constant once."""
        return ConstantPart(
            tuple({id(n): n for p in parts for n in p.nodes}.values()),
            tuple({id(v): v for p in parts for v in p.constants}.values()),
            tuple({id(v): v for p in parts for v in p.outputs}.values()),
            parts[0].opsets,
        )

    def model(self) -> ir.Model:
        """A model without inputs that computes the outputs under their names."""
        new: dict[int, ir.Value] = {}
        for value in self.constants:
            tensor = constant_tensor(value)
            kind = ir.TensorType(tensor.dtype)
            new[id(value)] = ir.Value(name=value.name, type=kind, shape=tensor.shape, const_value=tensor)
        nodes = []
        for node in self.nodes:
            fresh = [ir.Value(name=v.name, type=v.type, shape=v.shape) for v in node.outputs]
            inputs = [None if v is None else new[id(v)] for v in node.inputs]
            attributes = list(node.attributes.values())
            nodes.append(ir.Node(node.domain, node.op_type, inputs, attributes, outputs=fresh, name=node.name))
            new.update((id(old), made) for old, made in zip(node.outputs, fresh, strict=True))
        graph = ir.Graph(
            [],
            [new[id(v)] for v in self.outputs],
            nodes=nodes,
            initializers=[new[id(v)] for v in self.constants],
            opset_imports=dict(self.opsets),
            name="constants",
        )
        return ir.Model(graph, ir_version=10)


def constant_parts(graph: ir.Graph, opsets: Mapping[str, int]) -> list[ConstantPart]:
    """One part per result that nodes outside read, in running order."""
    inside: dict[int, ir.Node] = {}
    for node in graph:
        if _can_fold(node, inside):
            inside[id(node)] = node
    parts = []
    for node in inside.values():
        outputs = tuple(v for v in node.outputs if _read_outside(v, inside))
        if not outputs:
            continue
        nodes, constants = _ancestry(node, inside)
        parts.append(ConstantPart(nodes, constants, outputs, tuple(opsets.items())))
    return parts


def _can_fold(node: ir.Node, inside: dict[int, ir.Node]) -> bool:
    if node.domain not in ("", "ai.onnx") or node.op_type in _KEPT:
        return False
    if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
        return False
    if any(v.is_graph_output() or _size(v) < 0 for v in node.outputs if v.name):
        return False
    for value in node.inputs:
        if value is None:
            continue
        producer = value.producer()
        known = id(producer) in inside if producer is not None else _is_plain_constant(value)
        if not known and not (producer is not None and producer.op_type == "Constant"):
            return False
    return True


def _is_plain_constant(value: ir.Value) -> bool:
    return value.const_value is not None and not value.is_graph_input()


def _size(value: ir.Value) -> int:
    """Bytes of a tensor of known size and type; -1 for anything else."""
    if value.dtype is None or value.shape is None or value.dtype == ir.DataType.STRING:
        return -1
    dims = value.shape.dims
    if not isinstance(value.type, ir.TensorType) or not all(isinstance(d, int) for d in dims):
        return -1
    count: int = math.prod(d if isinstance(d, int) else 0 for d in dims)
    return count * value.dtype.bitwidth // 8


def _read_outside(value: ir.Value, inside: dict[int, ir.Node]) -> bool:
    return any(id(reader) not in inside for reader, _ in value.uses())


def _ancestry(node: ir.Node, inside: dict[int, ir.Node]) -> tuple[tuple[ir.Node, ...], tuple[ir.Value, ...]]:
    """The nodes a result is computed by, in running order, and the constants they read."""
    chosen: dict[int, ir.Node] = {}
    constants: dict[int, ir.Value] = {}
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if id(current) in chosen:
            continue
        chosen[id(current)] = current
        for value in current.inputs:
            if value is None:
                continue
            producer = value.producer()
            if producer is None or producer.op_type == "Constant":
                constants[id(value)] = value
            else:
                waiting.append(producer)
    return tuple(n for key, n in inside.items() if key in chosen), tuple(constants.values())
