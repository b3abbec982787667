"""Dropout, which does nothing in inference."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import only_number
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class RemoveNoopDropout(Rule):
    """Remove a Dropout in inference mode, or one that drops nothing."""

    pattern = "Dropout(x, ratio?, training?)"
    exactness = Exactness.BITWISE

    def guard(self, m: Match) -> Refusal | None:
        node: ir.Node = m.root
        if any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
            return Refusal("the mask of what it drops is read")
        if m.training is None:
            return None
        training = only_number(m.training)
        if training is None:
            return Refusal("whether it trains is decided at run time")
        ratio = only_number(m.ratio) if m.ratio is not None else attribute(node, "ratio", 0.5)
        return Refusal("it is in training mode") if training and (ratio is None or ratio != 0) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.x, *[None] * (len(m.root.outputs) - 1)]

    examples = (
        Example(
            "with an attribute",
            "(float[2] x) => (float[2] y) { a = Dropout<ratio=0.3>(x) y = Relu(a) }",
            "y = Relu(x)",
            opset=7,
        ),
        Example(
            "with a mask nobody reads",
            "(float[2] x) => (float[2] y) <float r = {0.3}> { a, mask = Dropout(x, r) y = Relu(a) }",
            "y = Relu(x)",
            opset=12,
        ),
        Example(
            "told to infer",
            """(float[2] x) => (float[2] y) <float r = {0.3}, bool t = {0}>
            { a = Dropout<seed=1>(x, r, t) y = Relu(a) }""",
            "y = Relu(x)",
            opset=22,
        ),
        Example(
            "training",
            "(float[2] x) => (float[2] y) <float r = {0.3}, bool t = {1}> { a = Dropout(x, r, t) y = Relu(a) }",
            refused="training mode",
        ),
        Example(
            "told at run time",
            "(float[2] x, bool t) => (float[2] y) <float r = {0.3}> { a = Dropout(x, r, t) y = Relu(a) }",
            refused="at run time",
        ),
        Example(
            "mask read",
            "(float[2] x) => (float[2] y, bool[2] mask) { a, mask = Dropout(x) y = Relu(a) }",
            refused="mask",
        ),
    )
