"""Convolutions of the same input that are added up become one with a larger kernel than both."""

from __future__ import annotations

from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.branch_sums import ConvPairRule, Pair
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeUnlikeConvs(ConvPairRule):
    """Merge two added convolutions of the same input into one that does more arithmetic, where it is still faster.

    A kernel of 1x3 and one of 3x1 need a 3x3 kernel together. What the larger kernel costs is less than the second
    pass over the data where layers are small.
    """

    must_pay = True

    def wanted(self, pair: Pair) -> Refusal | bool:
        if not pair.grows:
            return False
        kind = value_type(pair.conv.outputs[0])
        if isinstance(kind, TensorType) and kind.dims is not None and all(isinstance(d, int) for d in kind.dims):
            return True
        return Refusal("sizes are open, so nobody can tell whether one larger kernel is faster")

    examples = (
        Example(
            "row and column that barely grow",
            """(float[1,2,8,8] x) => (float[1,2,8,8] y) <float[2,1,1,3] u, float[2,1,2,1] v, float[2] b, float[2] c>
            { p = Conv<group=2, pads=[0,1,0,1]>(x, u, b) q = Conv<group=2, pads=[1,0,0,0]>(x, v, c) y = Add(p, q) }""",
            "y = Conv<group=2, pads=[1,1,0,1]>(x, #, #)",
        ),
        Example(
            "row and column",
            """(float[1,64,8,8] x) => (float[1,64,8,8] y) <float[64,64,1,3] u, float[64,64,3,1] v>
            { p = Conv<pads=[0,1,0,1]>(x, u) q = Conv<pads=[1,0,1,0]>(x, v) y = Add(p, q) }""",
            refused="it would not be cheaper",
        ),
        Example(
            "open sizes",
            """(float[1,2,H,8] x) => (float[1,2,H,8] y) <float[2,2,1,3] u, float[2,2,3,1] v>
            { p = Conv<pads=[0,1,0,1]>(x, u) q = Conv<pads=[1,0,1,0]>(x, v) y = Add(p, q) }""",
            refused="sizes are open",
        ),
    )
