"""Reductions over single elements go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.axes import axes_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import dims_of, squeezed
from rooftune.verdicts import Exactness, Refusal


class RemoveNoopReduction(Rule):
    """Remove the mean, sum, product, maximum or minimum over axes of size one; without keepdims a Squeeze remains."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset(("", f"Reduce{kind}") for kind in ("Max", "Mean", "Min", "Prod", "Sum"))

    def find(self, node: ir.Node) -> Match | Refusal | None:
        dims = dims_of(node.inputs[0])
        if dims is None:
            return None
        axes = axes_of(node)
        if axes is None and (len(node.inputs) < 2 or node.inputs[1] is None):
            axes = ()
        if axes is None:
            return None
        if not axes:
            given = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
            if attribute(node, "noop_with_empty_axes", 0):
                return Match(node, {"x": node.inputs[0], "axes": ()}, (node,))
            if given is not None and given.size:
                return None
            axes = tuple(range(len(dims)))
        if any(dims[a] != 1 for a in axes):
            return None
        dropped = () if attribute(node, "keepdims", 1) else axes
        return Match(node, {"x": node.inputs[0], "axes": dropped}, (node,))

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value = m.x
        return squeezed(new, value, sorted(m.axes)) if m.axes else value

    examples = (
        Example(
            "kept axes",
            "(float[2,3,1] x) => (float[2,3,1] y) <int64[1] a = {-1}> { r = ReduceMean(x, a) y = Relu(r) }",
            "y = Relu(x)",
        ),
        Example(
            "dropped axes",
            "(float[2,1,3] x) => (float[2,3] y) { y = ReduceMax<axes=[1], keepdims=0>(x) }",
            "y = Squeeze<axes=[1]>(x)",
            opset=11,
        ),
        Example(
            "no axes",
            """(float[2,3] x) => (float[2,3] y) <int64[0] a = {}>
            { r = ReduceSum<noop_with_empty_axes=1>(x, a) y = Relu(r) }""",
            "y = Relu(x)",
        ),
    )
