"""A Pad with zeros in front of a convolution becomes its pads."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.padding import fill_of, joined_pads
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldPadIntoConv(Rule):
    """Fold a Pad with zeros into the pads of the Conv that reads it."""

    pattern = "conv=Conv(&pad=Pad(x, ...), w, b?)"
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        if fill_of(m.pad) != 0:
            return Refusal("a convolution pads with zeros alone")
        pads = joined_pads(m.pad, m.conv)
        if pads is None:
            return Refusal("the pads are not known, crop, reach other axes, or meet an automatic padding")
        return new.Conv(m.x, m.w, m.b, like=m.conv, pads=pads, auto_pad=None)

    examples = (
        Example(
            "pads added up",
            """(float[1,3,6,6] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[4] b, int64[8] p = {0,0,1,0,0,0,1,2}>
            { a = Pad(x, p) y = Conv<pads=[0,1,0,1]>(a, w, b) }""",
            "y = Conv<pads=[1,1,1,3]>(x, #, #)",
        ),
        Example(
            "chosen axes",
            """(float[1,3,6,6] x) => (float[1,4,6,8] y) <float[4,3,3,3] w, int64[4] p = {2,1,2,1}, float z = {0},
            int64[2] axes = {-1,2}> { a = Pad(x, p, z, axes) y = Conv<auto_pad="VALID">(a, w) }""",
            "y = Conv<pads=[1,2,1,2]>(x, #)",
        ),
        Example(
            "two convolutions read it",
            """(float[1,3,8] x) => (float[1,4,8] y, float[1,4,8] z) <float[4,3,3] w, float[4,3,3] v,
            int64[6] p = {0,0,1,0,0,1}> { a = Pad(x, p) y = Conv(a, w) z = Conv(a, v) }""",
            "y = Conv<pads=[1,1]>(x, #)\nz = Conv<pads=[1,1]>(x, #)",
        ),
        Example(
            "operator set 7",
            """(float[1,3,6,6] x) => (float[1,4,6,6] y) <float[4,3,3,3] w>
            { a = Pad<mode="constant", pads=[0,0,1,1,0,0,1,1]>(x) y = Conv(a, w) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #)",
            opset=7,
        ),
        Example(
            "filled with ones",
            """(float[1,3,6,6] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float v = {1},
            int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad(x, p, v) y = Conv(a, w) }""",
            refused="with zeros alone",
        ),
        Example(
            "reflected",
            """(float[1,3,6,6] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad<mode="reflect">(x, p) y = Conv(a, w) }""",
            refused="with zeros alone",
        ),
        Example(
            "channels padded",
            """(float[1,3,6,6] x) => (float[1,4,4,4] y) <float[4,4,3,3] w, int64[8] p = {0,0,0,0,0,1,0,0}>
            { a = Pad(x, p) y = Conv(a, w) }""",
            refused="reach other axes",
        ),
        Example(
            "cropped",
            """(float[1,3,6,6] x) => (float[1,4,4,3] y) <float[4,3,3,3] w, int64[8] p = {0,0,0,-1,0,0,0,0}>
            { a = Pad(x, p) y = Conv(a, w) }""",
            refused="crop",
        ),
        Example(
            "automatic padding",
            """(float[1,3,6,6] x) => (float[1,4,4,4] y) <float[4,3,3,3] w, int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad(x, p) y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(a, w) }""",
            refused="automatic padding",
        ),
    )
