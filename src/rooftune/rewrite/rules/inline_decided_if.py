"""An If whose condition is known before the run is the branch that is taken."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.graph.text import node_line
from rooftune.rewrite.edit import Workplace, remove_unread, stand_in
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import attribute, label_of
from rooftune.rewrite.names import NamesInUse
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class InlineDecidedIf(Sweep):
    """Put the branch that is taken in the place of an If whose condition is constant.

    Exporters write them for options of the model: whether there is a mask, whether it trains. Inside an If no other
    rule sees what stands before and behind it, and engines neither.
    """

    def run(self, place: Workplace) -> list[Applied]:
        found: list[Applied] = []
        used: NamesInUse | None = None
        for node in list(place.all_nodes()):  # an If before those in its branches, which move along with it
            branches = _decided(node)
            if branches is not None:
                used = used or NamesInUse(place.ir)
                found.append(_inlined(place, self.name, node, *branches, used))
        return found

    examples = (
        Example(
            "an option of the model",
            """(float[2,3] x) => (float[2,3] y) <bool masked = {1}, float[2,3] mask>
            { e = Exp(x)
              a = If (masked) <then_branch = with () => (float[2,3] m) { s = Mul(e, mask) m = Abs(s) },
                               else_branch = without () => (float[2,3] p) { p = Identity(e) }>
              y = Relu(a) }""",
            "e = Exp(x)\ns = Mul(e, #)\na = Abs(s)\ny = Relu(a)",
        ),
        Example(
            "one If inside another, both decided",
            """(float[2,3] x) => (float[2,3] y)
            { no = Constant<value = bool {0}>()
              y = If (no) <then_branch = f () => (float[2,3] p) { p = Neg(x) },
                           else_branch = g () => (float[2,3] q)
                           { yes = Constant<value = bool {1}>()
                             q = If (yes) <then_branch = h () => (float[2,3] r) { r = Relu(x) },
                                           else_branch = i () => (float[2,3] s) { s = Exp(x) }> }> }""",
            "y = Relu(x)",
        ),
        Example(
            "a branch that gives a weight of its own",
            """(float[2,3] x) => (float[3] y, float[2,3] z) <bool c = {1}>
            { y = If (c) <then_branch = f () => (float[3] t) <float[3] t = {1.0, 2.0, 3.0}> { },
                          else_branch = g () => (float[3] u) <float[3] u = {3.0, 2.0, 1.0}> { }>
              z = Relu(x) }""",
            "y = Identity(#)\nz = Relu(x)",
        ),
    )


def _decided(node: ir.Node) -> tuple[ir.Graph, ir.Graph] | None:
    """The branch that an If takes, and the one it does not; None where that is decided at run time."""
    if node.op_type != "If" or node.domain not in ("", "ai.onnx") or not node.inputs:
        return None
    condition = node.inputs[0]
    known = None if condition is None or condition.is_graph_input() else constant_of(condition)
    branches = attribute(node, "then_branch"), attribute(node, "else_branch")
    if known is None or known.size != 1 or None in branches:
        return None
    taken, other = branches if known.reshape(-1)[0] else branches[::-1]
    return None if taken.inputs or len(taken.outputs) < len(node.outputs) else (taken, other)


def _inlined(place: Workplace, rule: str, node: ir.Node, taken: ir.Graph, other: ir.Graph, used: NamesInUse) -> Applied:
    """Move the nodes of the first branch before the If and let its outputs take the place of the If's."""
    outputs = list(taken.outputs)
    label, shown, price = label_of(node), node_line(node), place.price([node])
    used.forget(other)
    added = _moved(place, node, taken, used)
    fresh = {id(v) for n in added for v in n.outputs}
    for old, value in zip(node.outputs, outputs, strict=False):
        name = old.name
        if not name:
            continue
        if old.is_graph_output() and id(value) not in fresh:
            added.append(_named_apart(place, value, old))
            node.prepend(added[-1])
            value = added[-1].outputs[0]
            fresh.add(id(value))
        value.type, value.shape = value.type or old.type, value.shape if value.shape is not None else old.shape
        stand_in(old, value, fresh=id(value) in fresh)
        fresh.discard(id(value))  # it has taken one name and takes no other
        place.standing[name] = value
    removed = remove_unread([node])
    return Applied(
        rule,
        label,
        tuple(label_of(n) for n in removed),
        tuple(label_of(n) for n in added),
        (shown,),
        tuple(node_line(n) for n in added),
        *(place.price(added) - price),
    )


def _moved(place: Workplace, node: ir.Node, branch: ir.Graph, used: NamesInUse) -> list[ir.Node]:
    """The nodes of a branch, now before the If; its weights go where all weights are."""
    branch.outputs.clear()
    nodes, weights = list(branch), list(branch.initializers.values())
    branch.remove(nodes)
    branch.initializers.clear()
    for value in (*weights, *(v for n in nodes for v in n.outputs)):
        if value.name and used.values[value.name] > 1:
            used.values[value.name] -= 1
            value.name = place.names.value(value.name)
    for inner in nodes:
        if inner.name and used.nodes[inner.name] > 1:
            used.nodes[inner.name] -= 1
            inner.name = place.names.node(inner.name)
    if place.in_function(node):  # which has no initialisers
        nodes[:0] = [_constant(place, value) for value in weights]
    else:
        for value in weights:
            place.ir.graph.register_initializer(value)
    node.prepend(nodes)
    return nodes


def _constant(place: Workplace, value: ir.Value) -> ir.Node:
    tensor = value.const_value
    assert tensor is not None
    value.const_value = None
    return ir.Node(
        "", "Constant", [], [ir.AttrTensor("value", tensor)], outputs=[value], name=place.names.node("Constant")
    )


def _named_apart(place: Workplace, value: ir.Value, output: ir.Value) -> ir.Node:
    """An Identity that gives an output of the graph its name, where the value has one that others know."""
    copy = ir.Value(name=place.names.value(output.name or "output"), type=value.type, shape=value.shape)
    return ir.Node("", "Identity", [value], outputs=[copy], name=place.names.node("Identity"))
