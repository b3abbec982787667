"""Work of nodes that run graphs of their own: If, Loop, Scan, SequenceMap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir

from rooftune.analysis.tensors import TensorTable
from rooftune.graph.constants import constant_of
from rooftune.ops import TensorType, Work
from rooftune.quantities import Count, Unknown

__all__ = ["captured_values", "control_flow_work"]


def control_flow_work(node: onnx_ir.Node, table: TensorTable) -> Work | Unknown | None:
    """Arithmetic of the graphs a node runs; None when the node runs none.

    If      the dearer of its branches, or the one taken when the condition is a constant
    Loop    trips · body where the trip count is a constant and nothing stops it early, else `Unknown`
    Scan    trips · body, trips being the length of the scanned axis
    """
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "If":
        return _if_work(node, table)
    if node.op_type == "Loop":
        return _loop_work(node, table)
    if node.op_type == "Scan":
        return _scan_work(node, table)
    if node.op_type == "SequenceMap":
        return Unknown("the length of the sequence is decided at run time")
    return None


def captured_values(node: onnx_ir.Node) -> tuple[onnx_ir.Value, ...]:
    """Values from outside that the graphs a node runs read, and their own weights: inputs the node does not name."""
    graphs: list[onnx_ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == onnx_ir.AttributeType.GRAPH:
            graphs.append(attribute.as_graph())
        elif attribute.type == onnx_ir.AttributeType.GRAPHS:
            graphs += attribute.as_graphs()
    inside = {id(graph) for graph in graphs}
    read: dict[int, onnx_ir.Value] = {}
    for graph in graphs:
        for inner in graph.all_nodes():
            inside.add(id(inner.graph))
            read.update((id(v), v) for v in inner.inputs if v is not None)
        read.update((id(v), v) for v in graph.outputs)
    named = {id(v) for v in node.inputs}
    return tuple(v for key, v in read.items() if key not in named and (v.is_initializer() or id(v.graph) not in inside))


def _graph_work(graph: onnx_ir.Graph, table: TensorTable) -> Work | Unknown:
    from rooftune.analysis.work import sum_of_nodes

    return sum_of_nodes(list(graph), table)


def _subgraph(node: onnx_ir.Node, name: str) -> onnx_ir.Graph | None:
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else attribute.as_graph()


def _if_work(node: onnx_ir.Node, table: TensorTable) -> Work | Unknown:
    branches = [_subgraph(node, "then_branch"), _subgraph(node, "else_branch")]
    condition = constant_of(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
    if condition is not None and condition.size == 1:
        branches = [branches[0] if bool(condition.reshape(-1)[0]) else branches[1]]
    works: list[Work] = []
    for branch in branches:
        if branch is None:
            return Unknown("a branch of the If is missing")
        work = _graph_work(branch, table)
        if isinstance(work, Unknown):
            return work
        works.append(work)
    if len(works) == 2 and not all(isinstance(w.flops, int) for w in works):
        same = works[0].flops == works[1].flops
        return works[0] if same else Unknown("which branch costs more depends on open dimensions")
    return max(works, key=lambda w: w.flops)


def _loop_work(node: onnx_ir.Node, table: TensorTable) -> Work | Unknown:
    body = _subgraph(node, "body")
    if body is None:
        return Unknown("the Loop has no body")
    trips_value = node.inputs[0] if node.inputs else None
    trips = constant_of(trips_value) if trips_value is not None else None
    if trips is None or trips.size != 1:
        return Unknown("the trip count is decided at run time")
    if not _goes_on(body, node):
        return Unknown("the loop may stop before its trip count")
    return _repeated(_graph_work(body, table), int(trips.reshape(-1)[0]))


def _goes_on(body: onnx_ir.Graph, node: onnx_ir.Node) -> bool:
    """True where the body hands its incoming condition on, or says a constant yes."""
    start = node.inputs[1] if len(node.inputs) > 1 else None
    if start is not None:
        begins = constant_of(start)
        if begins is None or begins.size != 1 or not bool(begins.reshape(-1)[0]):
            return False
    out = body.outputs[0] if body.outputs else None
    while out is not None:
        if len(body.inputs) > 1 and out is body.inputs[1]:
            return True
        value = constant_of(out)
        if value is not None:
            return value.size == 1 and bool(value.reshape(-1)[0])
        producer = out.producer()
        if producer is None or producer.op_type not in ("Identity", "Cast"):
            return False
        out = producer.inputs[0]
    return False


def _scan_work(node: onnx_ir.Node, table: TensorTable) -> Work | Unknown:
    body = _subgraph(node, "body")
    count = node.attributes.get("num_scan_inputs")
    if body is None or count is None:
        return Unknown("the Scan has no body")
    scanned = count.as_int()
    first = node.inputs[len(node.inputs) - scanned] if 0 < scanned <= len(node.inputs) else None
    if first is None:
        return Unknown("the Scan has no scanned input")
    kind = table.tensor(first).type
    if not isinstance(kind, TensorType) or kind.dims is None or not kind.dims:
        return Unknown("the length of the scanned axis is not known")
    axes: Sequence[int] = node.attributes["scan_input_axes"].as_ints() if "scan_input_axes" in node.attributes else [0]
    # Scan of opset 8 carries the batch first and scans axis 1
    axis = 1 if node.version == 8 or _is_scan_8(node) else axes[0]
    return _repeated(_graph_work(body, table), kind.dims[axis])


def _is_scan_8(node: onnx_ir.Node) -> bool:
    graph = node.graph
    opsets = getattr(graph, "opset_imports", {}) if graph is not None else {}
    return int(opsets.get("", 9)) == 8


def _repeated(work: Work | Unknown, times: Count) -> Work | Unknown:
    if isinstance(work, Unknown):
        return work
    return replace(
        work,
        macs=work.macs * times,
        padding_macs=work.padding_macs * times,
        elementwise={kind: count * times for kind, count in work.elementwise.items()},
    )
