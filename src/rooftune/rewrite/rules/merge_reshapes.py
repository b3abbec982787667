"""Views of views become one Reshape."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.noop import sizes_known
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import VIEWS, dims_of, only_reader, producer_of, same_shape, view_target
from rooftune.verdicts import Exactness, Refusal


class MergeReshapes(Rule):
    """Replace a chain of Reshape, Flatten, Squeeze and Unsqueeze by one Reshape, or by nothing."""

    pattern = ()
    exactness = Exactness.BITWISE
    since = 5

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset(("", op) for op in VIEWS)

    def find(self, node: ir.Node) -> Match | Refusal | None:
        inner = producer_of(node.inputs[0], *VIEWS)
        if inner is None or inner.inputs[0] is None:
            return None
        x, between = inner.inputs[0], node.inputs[0]
        assert between is not None
        proven = sizes_known(node) and sizes_known(inner)
        if proven and same_shape(x, node.outputs[0]):
            return Match(node, {"x": x, "target": None}, (node, inner))
        if not only_reader(between):
            return None
        target = (view_target(dims_of(node.outputs[0]), dims_of(x)) if proven else None) or _given(node, between, x)
        return None if target is None else Match(node, {"x": x, "target": target}, (node, inner))

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value = m.x
        return value if m.target is None else new.node("Reshape", [value, new.integers(m.target)])[0]

    examples = (
        Example(
            "two in a row",
            """(float[2,3,4] x) => (float[4,6] y) <int64[2] s = {2,12}, int64[2] t = {4,6}>
            { a = Reshape(x, s) y = Reshape(a, t) }""",
            "y = Reshape(x, #)",
        ),
        Example(
            "there and back",
            """(float[2,3,4] x) => (float[2,3,4] y) <int64[2] s = {2,12}, int64[3] t = {2,3,4}>
            { c = Relu(x) a = Reshape(c, s) y = Reshape(a, t) }""",
            "y = Relu(x)",
        ),
        Example(
            "one open dimension",
            """(float[N,3,2,2] x) => (float[N,12] y) <int64[3] s = {0,3,4}>
            { a = Reshape(x, s) y = Flatten(a) }""",
            "y = Reshape(x, #)",
        ),
        Example(
            "zeros that copy",
            """(float[N,3,M,2] x) => (float[N,M,3,2] y) <int64[3] s = {0,3,-1}, int64[4] t = {0,-1,3,2}>
            { a = Reshape(x, s) y = Reshape(a, t) }""",
            "y = Reshape(x, #)",
        ),
        Example(
            "axes as attributes",
            """(float[2,3,1] x) => (float[1,6] y)
            { a = Squeeze<axes=[2]>(x) b = Flatten<axis=0>(a) c = Relu(b) y = Neg(c) }""",
            "b = Reshape(x, #)\nc = Relu(b)\ny = Neg(c)",
            opset=11,
        ),
    )


def _given(node: ir.Node, between: ir.Value, x: ir.Value) -> list[int] | None:
    """The constant target the outer Reshape has, its zeros (which copy from the value between) written out."""
    target = constant_of(node.inputs[1]) if node.op_type == "Reshape" else None
    if target is None:
        return None
    middle, first = dims_of(between), dims_of(x)
    entries = [int(e) for e in target.reshape(-1)]
    if attribute(node, "allowzero", 0):
        return None if 0 in entries else entries
    for i, entry in enumerate(entries):
        if entry != 0:
            continue
        if middle is None or i >= len(middle):
            return None
        if isinstance(middle[i], int) and middle[i] > 0:
            entries[i] = middle[i]
        elif first is None or i >= len(first) or first[i] != middle[i]:
            return None
    return entries
