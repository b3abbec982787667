"""Softmax written out becomes Softmax."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import axes_of, rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.normalisation import NORMALISED_TYPES
from rooftune.rewrite.polynomial import made_by, read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseSoftmax(Rule):
    """Fuse exp(x - max(x)) over its sum along one axis into Softmax.

    Without the largest element taken off first, large numbers overflow, which Softmax does not: that form is left.
    ONNX Runtime runs the operators one by one and Softmax in about half the time; OpenVINO fuses them itself.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        power = made_by(node.inputs[0], "Exp")
        total = made_by(node.inputs[1], "ReduceSum")
        if power is None or total is None or total.inputs[0] is not node.inputs[0]:
            return None
        difference = made_by(power.inputs[0], "Sub")
        largest = None if difference is None else made_by(difference.inputs[1], "ReduceMax")
        if difference is None or largest is None or largest.inputs[0] is not difference.inputs[0]:
            return None
        x = largest.inputs[0]
        axes = axes_of(largest)
        if x is None or x.dtype not in NORMALISED_TYPES or axes is None or len(axes) != 1 or axes != axes_of(total):
            return None
        if not attribute(total, "keepdims", 1) or not attribute(largest, "keepdims", 1):
            return None
        nodes = (node, total, power, difference, largest)
        return read_only_by(nodes) or Match(node, {"x": x, "axis": axes[0]}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        if new.opset < 13 and m.axis + 1 != rank_of(m.x):
            return Refusal("before operator set 13 Softmax runs over all axes behind the given one")
        return new.node("Softmax", [m.x], axis=m.axis)[0]

    examples = (
        Example(
            "last axis",
            """(float[2,3,4] x) => (float[2,3,4] y) <int64[1] axes = {-1}>
            { m = ReduceMax(x, axes) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, axes) y = Div(e, s) }""",
            "y = Softmax<axis=2>(x)",
        ),
        Example(
            "first axis, open sizes, axes as attributes",
            """(float[N,3,4] x) => (float[N,3,4] y) <int64[1] axes = {1}>
            { m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, axes) y = Div(e, s) }""",
            "y = Softmax<axis=1>(x)",
            opset=13,
        ),
        Example(
            "old operator set, last axis",
            """(float[2,3,4] x) => (float[2,3,4] y)
            { m = ReduceMax<axes=[2]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum<axes=[2]>(e) y = Div(e, s) }""",
            "y = Softmax<axis=2>(x)",
            opset=9,
        ),
        Example(
            "old operator set, another axis",
            """(float[2,3,4] x) => (float[2,3,4] y)
            { m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum<axes=[1]>(e) y = Div(e, s) }""",
            refused="before operator set 13",
            opset=12,
        ),
        Example(
            "the power has another reader",
            """(float[2,4] x) => (float[2,4] y, float[2,4] z) <int64[1] axes = {-1}>
            { m = ReduceMax(x, axes) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, axes) y = Div(e, s) z = Neg(e) }""",
            refused="another reader",
        ),
    )
