"""Hard sigmoid written out becomes HardSigmoid."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.piecewise import hard_step
from rooftune.rewrite.polynomial import FUSED_TYPES, all_close, has_rank_of, polynomial, read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseHardsigmoid(Rule):
    """Fuse clip(a·x + b, 0, 1), as in clip(x + 3, 0, 6)/6, into HardSigmoid.

    ONNX Runtime runs the three operators one by one and HardSigmoid at once, and puts it into a convolution before
    it. OpenVINO joins the three itself and runs HardSigmoid a little slower than those; inside HardSwish it does not
    matter. Not for double, which ONNX Runtime has no kernel for.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div"), ("", "Clip"), ("", "Min")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = polynomial(node.outputs[0])
        if outer is None or len(outer.terms) != 1 or len(outer.atoms) != 1:
            return None
        factor = outer.coefficient(outer.atoms[0])
        step = hard_step(outer.atoms[0])
        if step is None or not all_close(step.x, (factor * step.top, 1.0)):
            return None
        nodes = (*outer.nodes, *step.nodes)
        alpha, beta = factor * step.slope, factor * step.offset
        if len(nodes) < 2 or step.x.dtype not in FUSED_TYPES or not has_rank_of(step.x, outer, step.argument):
            return None
        if not 1e-3 <= abs(alpha) <= 1e3 or abs(beta) > 1e3:
            return None
        return read_only_by(nodes) or Match(node, {"x": step.x, "alpha": alpha, "beta": beta}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("HardSigmoid", [m.x], alpha=_short(m.alpha), beta=_short(m.beta))[0]

    examples = (
        Example(
            "clip(x + 3, 0, 6)/6",
            """(float[2,3] x) => (float[2,3] y) <float three = {3.0}, float zero = {0.0}, float six = {6.0}>
            { a = Add(x, three) b = Clip(a, zero, six) y = Div(b, six) }""",
            "y = HardSigmoid<alpha=0.166667, beta=0.5>(x)",
        ),
        Example(
            "bounds as attributes",
            """(float[2,3] x) => (float[2,3] y) <float[1] three = {3.0}, float[1] sixth = {0.16666667}>
            { a = Add(x, three) b = Clip<min=0.0, max=6.0>(a) y = Mul(sixth, b) }""",
            "y = HardSigmoid<alpha=0.166667, beta=0.5>(x)",
            opset=7,
        ),
        Example(
            "as Keras writes it",
            """(float[2,3] x) => (float[2,3] y)
            <float fifth = {0.2}, float half = {0.5}, float zero = {0.0}, float one = {1.0}>
            { a = Mul(x, fifth) b = Add(a, half) y = Clip(b, zero, one) }""",
            "y = HardSigmoid<alpha=0.2, beta=0.5>(x)",
        ),
        Example(
            "the clipped sum is an output",
            """(float[2,3] x) => (float[2,3] y, float[2,3] b)
            <float three = {3.0}, float zero = {0.0}, float six = {6.0}>
            { a = Add(x, three) b = Clip(a, zero, six) y = Div(b, six) }""",
            refused="output of the graph",
        ),
    )


def _short(number: float) -> float:
    """The number as an attribute holds it, in single precision."""
    return float(ir.tensor([number], ir.DataType.FLOAT).numpy()[0])
