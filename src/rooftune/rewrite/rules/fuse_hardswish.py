"""Hard swish written out becomes HardSwish."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.piecewise import HardStep, hard_step
from rooftune.rewrite.polynomial import FUSED_TYPES, all_close, has_rank_of, polynomial, read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseHardswish(Rule):
    """Fuse x·clip(x + 3, 0, 6)/6, in whatever order it is written, into HardSwish.

    ONNX Runtime runs HardSwish as HardSigmoid and Mul, faster than the four operators; where the model holds that
    pair already, nodes fall and time does not. OpenVINO fuses the Clip form itself, but the HardSigmoid form only
    when it is HardSwish. Not for double, which ONNX Runtime has no kernel for.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES
    since = 14

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = polynomial(node.outputs[0])
        if outer is None or len(outer.terms) != 1 or len(outer.atoms) != 2:
            return None
        for x, atom in (outer.atoms, outer.atoms[::-1]):
            step = hard_step(atom) if x.dtype in FUSED_TYPES else None
            if step is None or step.x is not x or not has_rank_of(x, outer, step.argument):
                continue
            if _is_hard_swish(step, outer.coefficient(x, atom)):
                nodes = (*outer.nodes, *step.nodes)
                return read_only_by(nodes) or Match(node, {"x": x}, nodes)
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("HardSwish", [m.x])[0]

    examples = (
        Example(
            "divided at the end",
            """(float[2,3] x) => (float[2,3] y) <float three = {3.0}, float zero = {0.0}, float six = {6.0}>
            { a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six) }""",
            "y = HardSwish(x)",
        ),
        Example(
            "divided before, as a product with 1/6",
            """(float[2,3] x) => (float[2,3] y)
            <float[1] three = {3.0}, float zero = {0.0}, float six = {6.0}, float sixth = {0.16666667}>
            { a = Add(three, x) b = Clip(a, zero, six) c = Mul(b, sixth) y = Mul(c, x) }""",
            "y = HardSwish(x)",
        ),
        Example(
            "with HardSigmoid",
            """(float[2,3] x) => (float[2,3] y) { a = HardSigmoid<alpha=0.166667, beta=0.5>(x) y = Mul(x, a) }""",
            "y = HardSwish(x)",
            opset=14,
        ),
        Example(
            "with Min and Max",
            """(float[2,3] x) => (float[2,3] y) <float three = {3.0}, float zero = {0.0}, float six = {6.0}>
            { a = Add(x, three) l = Max(a, zero) b = Min(l, six) c = Mul(x, b) y = Div(c, six) }""",
            "y = HardSwish(x)",
        ),
        Example(
            "with Relu and Min",
            """(float[2,3] x) => (float[2,3] y) <float three = {3.0}, float six = {6.0}>
            { a = Add(x, three) l = Relu(a) b = Min(six, l) c = Div(b, six) y = Mul(x, c) }""",
            "y = HardSwish(x)",
        ),
        Example(
            "the gate has another reader",
            """(float[2,3] x) => (float[2,3] y, float[2,3] z)
            <float three = {3.0}, float zero = {0.0}, float six = {6.0}>
            { a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six) z = Neg(b) }""",
            refused="another reader",
        ),
    )


def _is_hard_swish(step: HardStep, factor: float) -> bool:
    return all_close(step.x, (factor * step.top, 1.0), (factor * step.slope, 1 / 6), (factor * step.offset, 0.5))
