"""Shapes through branches and loops: what goes into a body, and what comes out of the node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from rooftune.graph.open_shapes import Dims
from rooftune.graph.small_values import attribute
from rooftune.quantities import Dim

if TYPE_CHECKING:
    from rooftune.graph.repair import Repair

__all__ = ["CONTROL_FLOW"]


def _if(repair: Repair, node: ir.Node) -> None:
    """The taken branch where the condition is known, else what both branches agree on."""
    branches = [attribute(node, name) for name in ("then_branch", "else_branch")]
    for branch in branches:
        if branch is not None:
            repair.graph(branch)
    condition = repair.values.of(node.inputs[0] if node.inputs else None)
    if condition is not None and condition.size == 1 and condition.dtype != object:
        branches = [branches[0] if condition.item() else branches[1]]
        for place, output in enumerate(node.outputs):
            if branches[0] is not None and place < len(branches[0].outputs):
                taken = branches[0].outputs[place]
                output.type, output.shape = taken.type or output.type, _copied(taken.shape)
                repair.values.set(output, repair.values.of(taken))
        return
    for place, output in enumerate(node.outputs):
        ends = [b.outputs[place] for b in branches if b is not None and place < len(b.outputs)]
        if ends and not repair.settled(output):
            output.type = output.type or ends[0].type
            repair.give(output, _agreed(repair, node, [repair.dims(v) for v in ends]))


def _loop(repair: Repair, node: ir.Node) -> None:
    """Carried values keep the dimensions that no turn changes; scanned ones gain the number of turns."""
    body = attribute(node, "body")
    if body is None:
        return
    carried = list(node.inputs[2:])
    _enter(repair, body.inputs[:2], [(), ()])
    for inner, outer in zip(body.inputs[2:], carried):
        _carry(repair, inner, outer)
    repair.graph(body)
    changed = [
        inner
        for inner, end in zip(body.inputs[2:], body.outputs[1:])
        if repair.dims(inner) is not None and repair.dims(inner) != repair.dims(end)
    ]
    if changed:  # a second look, with the dimensions that a turn changes left open
        for inner, end in zip(body.inputs[2:], body.outputs[1:]):
            if inner in changed:
                dims = _agreed(repair, node, [repair.dims(end), repair.dims(inner)])
                inner.shape = None
                repair.give(inner, dims)
        _forget(body)
        repair.graph(body)
    turns = _turns(repair, node, body)
    for place, (output, end) in enumerate(zip(node.outputs, body.outputs[1:])):
        output.type = output.type or end.type
        if isinstance(output.type, ir.SequenceType | ir.OptionalType):
            output.shape = None  # every turn may add an element of another shape
            continue
        if repair.settled(output) or not output.name:
            continue
        dims = repair.dims(end)
        if place < len(carried):
            start = repair.dims(carried[place])
            repair.give(output, _agreed(repair, node, [start, dims]))
        elif dims is not None:
            repair.give(output, (turns, *dims))


def _turns(repair: Repair, node: ir.Node, body: ir.Graph) -> Dim:
    """Turns of a Loop that nothing ends early; else a new open dimension."""
    count = repair.values.of(node.inputs[0] if node.inputs else None)
    going_on = node.inputs[1] if len(node.inputs) > 1 else None
    at_start = repair.values.of(going_on)
    at_end = repair.values.of(body.outputs[0]) if body.outputs else None
    unchanged = _origin(body.outputs[0]) is body.inputs[1] if len(body.inputs) > 1 and body.outputs else False
    starts = going_on is None or (at_start is not None and bool(at_start.all()))
    stays = unchanged or (at_end is not None and at_end.dtype != object and bool(at_end.all()))
    if count is not None and count.size == 1 and starts and stays:
        turns = count.ravel()[0]
        return turns if count.dtype == object else max(0, int(turns))
    return repair.fresh(node, 0)


def _origin(value: ir.Value) -> ir.Value:
    """The value behind a chain of Identity nodes."""
    node = value.producer()
    while node is not None and node.op_type == "Identity" and node.inputs and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _scan(repair: Repair, node: ir.Node) -> None:
    """States keep their shapes; scanned inputs lose their axis, scanned outputs gain it."""
    body = attribute(node, "body")
    scanned = attribute(node, "num_scan_inputs", 0)
    if body is None or scanned < 1 or repair.opsets.get("", 1) < 9:
        return
    states = len(node.inputs) - scanned
    axes = attribute(node, "scan_input_axes") or [0] * scanned
    length: Dim | None = None
    shapes: list[Dims] = [repair.dims(v) for v in node.inputs[:states]]
    for value, axis in zip(node.inputs[states:], axes):
        dims = repair.dims(value)
        if not dims or not -len(dims) <= axis < len(dims):
            return
        axis %= len(dims)
        length = dims[axis] if length is None or not isinstance(length, int) else length
        shapes.append((*dims[:axis], *dims[axis + 1 :]))
    for inner, outer in zip(body.inputs, node.inputs):
        inner.type = inner.type or (outer.type if outer is not None else None)
    _enter(repair, body.inputs, shapes)
    repair.graph(body)
    out_axes = attribute(node, "scan_output_axes") or [0] * (len(node.outputs) - states)
    for place, (output, end) in enumerate(zip(node.outputs, body.outputs)):
        output.type = output.type or end.type
        dims = repair.dims(end)
        if dims is None or length is None:
            continue
        if place >= states:
            axis = out_axes[place - states] % (len(dims) + 1)
            dims = (*dims[:axis], length, *dims[axis:])
        repair.give(output, dims)


def _sequence_map(repair: Repair, node: ir.Node) -> None:
    """The body sees one element of each sequence; the outputs are sequences of what it gives."""
    body = attribute(node, "body")
    if body is None:
        return
    _enter(repair, body.inputs, [repair.dims(v) for v in node.inputs])
    for inner in body.inputs:
        repair.allow(inner)
    repair.graph(body)
    for output, end in zip(node.outputs, body.outputs):
        if output.type is None and end.type is not None:
            output.type = ir.SequenceType(end.type)
        repair.give(output, repair.dims(end))


def _enter(repair: Repair, inputs: Sequence[ir.Value], shapes: Sequence[Dims]) -> None:
    """Give the inputs of a body the shapes they have when it runs."""
    for inner, dims in zip(inputs, shapes):
        if not repair.settled(inner):
            repair.give(inner, dims)


def _carry(repair: Repair, inner: ir.Value, outer: ir.Value | None) -> None:
    if outer is None:
        return
    inner.type = inner.type or outer.type
    if not repair.settled(inner):
        repair.give(inner, repair.dims(outer))
    repair.values.set(inner, None)


def _agreed(repair: Repair, node: ir.Node, shapes: Sequence[Dims]) -> Dims:
    """What several shapes have in common; new names where they differ, None where their ranks do."""
    if any(s is None for s in shapes) or len({len(s) for s in shapes if s is not None}) != 1:
        return None
    columns: Any = zip(*(s for s in shapes if s is not None))
    return tuple(c[0] if all(d == c[0] for d in c) else repair.fresh(node, i) for i, c in enumerate(columns))


def _forget(body: ir.Graph) -> None:
    for node in body:
        for output in node.outputs:
            output.shape = None


def _copied(shape: ir.Shape | None) -> ir.Shape | None:
    return None if shape is None else ir.Shape(list(shape))


CONTROL_FLOW: dict[str, Callable[[Repair, ir.Node], None]] = {
    "If": _if,
    "Loop": _loop,
    "Scan": _scan,
    "SequenceMap": _sequence_map,
}
