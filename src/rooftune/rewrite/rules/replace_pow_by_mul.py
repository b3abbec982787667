"""A square or a reciprocal written as a power."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, keeps_shape, only_number
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplacePowByMul(Rule):
    """Replace a power of two by a product with itself, and a power of minus one by a reciprocal.

    The square root stays a power where it is one: x^0.5 is +∞ at -∞, and +0 at -0, which Sqrt is not. So does the
    cube: engines work it out in one pass over memory, and two products would be two.
    """

    pattern = "Pow(x, $power)"
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or is_constant(found.x) or found.x.dtype != node.outputs[0].dtype:
            return None
        power = only_number(found.power)
        if power is None or not keeps_shape(found.power, found.x):
            return None
        wanted = computes_in_floats(node, halves=True) if power == 2 else power == -1 and computes_in_floats(node)
        return found if wanted else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Mul(m.x, m.x) if only_number(m.power) == 2 else new.Reciprocal(m.x)

    examples = (
        Example(
            "square",
            "(float[2,3] x) => (float[2,3] y) <float p = {2.0}> { y = Pow(x, p) }",
            "y = Mul(x, x)",
            opset=7,
        ),
        Example(
            "square, whole exponent of shape [1]",
            "(float16[2,3] x) => (float16[2,3] y) <int64[1] p = {2}> { y = Pow(x, p) }",
            "y = Mul(x, x)",
        ),
        Example(
            "reciprocal",
            "(double[2,3] x) => (double[2,3] y) <double p = {-1.0}> { a = Exp(x) y = Pow(a, p) }",
            "a = Exp(x)\ny = Reciprocal(a)",
        ),
    )
