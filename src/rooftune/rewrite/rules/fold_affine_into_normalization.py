"""Constants multiplied or added behind a normalisation become its scale and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.normalisation import NORMALISED_TYPES
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldAffineIntoNormalization(Rule):
    """Fold a constant factor or summand behind a layer, RMS, group or instance normalisation into its parameters.

    Constants that vary along an axis the parameters have no number for stay where they are.
    """

    pattern = (
        "Mul(norm=LayerNormalization|RMSNormalization|InstanceNormalization|GroupNormalization(x, $s, $b?), $c)",
        "Add(norm=LayerNormalization|InstanceNormalization|GroupNormalization(x, $s, $b?), $c)",
        "Div(norm=LayerNormalization|RMSNormalization|InstanceNormalization|GroupNormalization(x, $s, $b?), $c)",
        "Sub(norm=LayerNormalization|InstanceNormalization|GroupNormalization(x, $s, $b?), $c)",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or any(v.uses() or v.is_graph_output() for v in found.norm.outputs[1:]):
            return None if isinstance(found, Match) else found
        if any(v is not None and v.is_graph_input() for v in (found.s, found.b, found.c)):
            return None
        if node.outputs[0].dtype not in NORMALISED_TYPES:
            return None
        if node.op_type == "Div":
            divisor = found.array("c")
            if divisor is None or not divisor.all():
                return None
        shape = _in_shape_of_scale(found)
        if shape is None:
            return None
        return Match(node, {**found.found, "shape": shape}, found.nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = tuple(int(d) for d in constant_tensor(m.s).shape.dims)

        def constant(c: Any) -> Any:
            return np.broadcast_to(c.reshape(m.shape), dims)

        scale, bias = m.s, m.b
        match m.root.op_type:
            case "Mul" | "Div":
                join = np.multiply if m.root.op_type == "Mul" else np.divide
                scale = new.derive(lambda s, c: join(s, constant(c)), m.s, m.c)
                bias = None if m.b is None else new.derive(lambda b, c: join(b, constant(c)), m.b, m.c)
            case _:
                sign = 1.0 if m.root.op_type == "Add" else -1.0
                if m.b is None:
                    bias = new.derive(lambda c: sign * constant(c), m.c, shape=dims)
                else:
                    bias = new.derive(lambda b, c: b + sign * constant(c), m.b, m.c)
        return new.node(m.norm.op_type, [m.x, scale, bias], like=m.norm)[0]

    examples = (
        Example(
            "scale of a layer normalisation",
            """(float[2,3,4] x) => (float[2,3,4] y) <float[4] s, float[4] c>
            { n = LayerNormalization(x, s) y = Mul(c, n) }""",
            "y = LayerNormalization(x, #)",
        ),
        Example(
            "shift of a layer normalisation without one",
            """(float[2,3,4] x) => (float[2,3,4] y) <float[3,4] s, float[1,1,4] c>
            { n = LayerNormalization<axis=1>(x, s) y = Add(n, c) }""",
            "y = LayerNormalization<axis=1>(x, #, #)",
            opset=17,
        ),
        Example(
            "scale and shift",
            """(float[2,3,4] x) => (float[2,3,4] y) <float[4] s, float[4] b, float c = {2.0}, float[4] d>
            { n = LayerNormalization(x, s, b) t = Mul(n, c) y = Sub(t, d) }""",
            "y = LayerNormalization(x, #, #)",
        ),
        Example(
            "division, RMS",
            """(float[2,4] x) => (float[2,4] y) <float[4] s, float[4] var_c>
            { n = RMSNormalization(x, s) y = Div(n, var_c) }""",
            "y = RMSNormalization(x, #)",
            opset=23,
        ),
        Example(
            "instance normalisation",
            """(float[2,3,4,4] x) => (float[2,3,4,4] y) <float[3] s, float[3] b, float[3,1,1] c, float[1,3,1,1] d>
            { n = InstanceNormalization(x, s, b) t = Mul(n, c) y = Add(t, d) }""",
            "y = InstanceNormalization(x, #, #)",
            opset=7,
        ),
        Example(
            "group normalisation",
            """(float[2,4,3,3] x) => (float[2,4,3,3] y) <float[4] s, float[4] b, float[4,1,1] c>
            { n = GroupNormalization<num_groups=2>(x, s, b) y = Mul(n, c) }""",
            "y = GroupNormalization<num_groups=2>(x, #, #)",
            opset=21,
        ),
        Example(
            "another reader",
            """(float[2,4] x) => (float[2,4] y, float[2,4] z) <float[4] s, float[4] c>
            { n = LayerNormalization(x, s) y = Mul(n, c) z = Relu(n) }""",
            refused="another reader",
        ),
    )


def _in_shape_of_scale(m: Match) -> tuple[int, ...] | None:
    """The shape in which the constant broadcasts to the normalisation's scale; None where it does not."""
    rank = rank_of(m.x)
    if m.b is not None and constant_tensor(m.b).shape.dims != constant_tensor(m.s).shape.dims:
        return None
    scale, constant = constant_tensor(m.s).shape.dims, constant_tensor(m.c).shape.dims
    if rank is None or len(constant) > rank or not all(isinstance(d, int) for d in (*scale, *constant)):
        return None
    full = (1,) * (rank - len(constant)) + tuple(int(d) for d in constant)
    if m.norm.op_type in ("LayerNormalization", "RMSNormalization"):
        axis = int(attribute(m.norm, "axis", -1))
        axis += rank if axis < 0 else 0
        if len(scale) != rank - axis:
            return None
        before, own, behind = full[:axis], full[axis:], full[:0]
    else:
        before, own, behind = full[:1], full[1:2], full[2:]
    if any(d != 1 for d in (*before, *behind)) or any(d not in (1, s) for d, s in zip(own, scale, strict=True)):
        return None
    return own
