"""Convolutions of the same input that are added up become one."""

from __future__ import annotations

from rooftune.rewrite.branch_sums import ConvPairRule, Pair
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeParallelConvs(ConvPairRule):
    """Merge two convolutions of the same input whose outputs are added into one, where that takes no more arithmetic.

    The smaller kernel is laid into the larger one where its taps read the same elements; a grouped kernel is laid into
    one with fewer groups.
    """

    def wanted(self, pair: Pair) -> Refusal | bool:
        return not pair.grows

    examples = (
        Example(
            "3x3 and 1x1",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[4,3,1,1] v, float[4] b>
            { c = Conv<pads=[1,1,1,1]>(x, w) d = Conv(x, v, b) y = Add(c, d) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "smaller one first, strides, kernel_shape",
            """(float[N,3,H,9] x) => (float[N,4,H2,5] y) <float[4,3,3,3] w, float[4,3,1,1] v, float[4] b, float[4] c>
            { p = Conv<kernel_shape=[1,1], strides=[2,2]>(x, v, b)
              q = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x, w, c) y = Add(p, q) }""",
            "y = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x, #, #)",
        ),
        Example(
            "square, row and column",
            """(float[1,2,8,8] x) => (float[1,2,8,8] y) <float[2,2,1,3] u, float[2,2,3,1] v, float[2,2,3,3] w>
            { a = Conv<pads=[0,1,0,1]>(x, u) b = Conv<pads=[1,0,1,0]>(x, v) c = Conv<pads=[1,1,1,1]>(x, w)
              s = Add(a, b) y = Add(s, c) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #)",
        ),
        Example(
            "among other operands",
            """(float[1,2,8] x, float[1,2,8] z) => (float[1,2,8] y) <float[2,2,3] u, float[2,2,5] v>
            { a = Conv<pads=[1,1]>(x, u) s = Add(a, z) b = Conv<pads=[2,2]>(x, v) y = Add(s, b) }""",
            "v1 = Conv<pads=[2,2]>(x, #)\ny = Add(v1, z)",
        ),
        Example(
            "in a Sum",
            """(float[1,2,8] x, float[1,2,8] z) => (float[1,2,8] y) <float[2,2,3] u, float[2,2,3] v>
            { a = Conv<pads=[1,1]>(x, u) b = Conv<auto_pad="SAME_UPPER">(x, v) r = Relu(z) y = Sum(a, z, b, r) }""",
            "r = Relu(z)\nv1 = Conv<pads=[1,1]>(x, #)\ny = Sum(v1, z, r)",
        ),
        Example(
            "depthwise beside dense, dilated",
            """(float[1,4,9,9] x) => (float[1,4,9,9] y) <float[4,4,3,3] u, float[4,1,1,3] v>
            { a = Conv<dilations=[2,2], pads=[2,2,2,2]>(x, u) b = Conv<dilations=[1,2], group=4, pads=[0,2,0,2]>(x, v)
              y = Add(a, b) }""",
            "y = Conv<dilations=[2,2], pads=[2,2,2,2]>(x, #)",
        ),
        Example(
            "old operator set",
            """(float[1,2,8] x, float[1] z) => (float[1,2,8] y) <float[2,2,3] u, float[2,2,1] v>
            { a = Conv<pads=[1,1]>(x, u) b = Conv(x, v) t = Add(z, b) r = Relu(x) y = Sum(a, t, r) }""",
            "r = Relu(x)\nv1 = Conv<pads=[1,1]>(x, #)\nv2 = Add(v1, z)\ny = Add(v2, r)",
            opset=7,
        ),
        Example(
            "another reader",
            """(float[1,2,8] x) => (float[1,2,8] y, float[1,2,8] z) <float[2,2,3] u, float[2,2,1] v>
            { a = Conv<pads=[1,1]>(x, u) b = Conv(x, v) y = Add(a, b) z = Relu(a) }""",
            refused="another reader",
        ),
        Example(
            "weights from the run",
            """(float[1,2,8] x, float[2,2,1] v) => (float[1,2,8] y) <float[2,2,3] u>
            { a = Conv<pads=[1,1]>(x, u) b = Conv(x, v) y = Add(a, b) }""",
            refused="v is computed at run time",
        ),
    )
