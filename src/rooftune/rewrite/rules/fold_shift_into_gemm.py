"""A constant added before or behind a Gemm becomes part of its bias."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gemm import columns_of, gemm_bias, is_row, reduction_of
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import along_axis, fits, is_float, shifts_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import derive_bias
from rooftune.verdicts import Exactness, Refusal


class FoldShiftIntoGemm(Rule):
    """Fold an Add or Sub of one number per column into the bias of the Gemm before or behind it.

    A Gemm without a bias takes one that is computed at run time as well.
    """

    pattern = (
        "Add(gemm=Gemm(a, w, bias!?), $c)",
        "Sub(gemm=Gemm(a, w, bias!?), $c)",
        "Sub($c, gemm=Gemm(a, w, bias!?))",
        "gemm=Gemm(step=Add(a, $c), $w, bias!?)",
        "gemm=Gemm(step=Sub(a, $c), $w, bias!?)",
        "Add(gemm=Gemm(a, w), row)",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if isinstance(found, Match) and "row" in found.found and not is_row(found.dims("row"), columns_of(found.gemm)):
            return None
        return found

    def guard(self, m: Match) -> Refusal | None:
        return None if is_float(m.gemm.outputs[0]) else Refusal("integers are not added in another order")

    def replace(self, m: Match, new: Builder) -> Replacement:
        columns = columns_of(m.gemm)
        if "row" in m.found:
            return new.Gemm(m.a, m.w, m.row, like=m.gemm, beta=None)
        bias = gemm_bias(m, columns) if isinstance(columns, int) else None
        if bias is None:
            return Refusal("the bias is not known, or not one number per column")
        if m.root is m.gemm:
            return _before(m, new, columns)
        negated = m.root.op_type == "Sub" and m.root.inputs[0] is m.c
        shift = along_axis(m.array("c"), 2, 1, columns) if negated else shifts_of(m.root, m.array("c"), 2, 1, columns)
        if shift is None:
            return Refusal("the constant is not one finite number per column")
        added = new.constant(shift - bias if negated else shift + bias, like=m.c)
        alpha = float(attribute(m.gemm, "alpha", 1.0))
        if negated:
            return new.Gemm(m.a, m.w, added, like=m.gemm, beta=None, alpha=-alpha)
        return new.Gemm(m.a, m.w, added, like=m.gemm, beta=None)

    examples = (
        Example(
            "no bias yet",
            """(float[2,3] x, float[3,4] w) => (float[2,4] y) <float[4] k>
            { g = Gemm<alpha=0.5, beta=2.0>(x, w) y = Add(g, k) }""",
            "y = Gemm<alpha=0.5>(x, w, #)",
        ),
        Example(
            "onto a bias",
            """(float[2,3] x) => (float[2,4] y) <float[4,3] w, float[1,4] b, float k = {0.5}>
            { g = Gemm<beta=2.0, transB=1>(x, w, b) y = Sub(g, k) }""",
            "y = Gemm<transB=1>(x, #, #)",
        ),
        Example(
            "subtracted from a constant",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float b = {2}, float[4] k>
            { g = Gemm<beta=0.5>(x, w, b) y = Sub(k, g) }""",
            "y = Gemm<alpha=-1.0>(x, #, #)",
        ),
        Example(
            "before the Gemm",
            """(float[2,3] x) => (float[2,4] y) <float[4,3] w, float[4] b, float[3] k>
            { s = Sub(x, k) y = Gemm<alpha=0.5, beta=2.0, transB=1>(s, w, b) }""",
            "y = Gemm<alpha=0.5, transB=1>(x, #, #)",
        ),
        Example(
            "before the Gemm, transposed, no bias",
            """(float[3,2] x) => (float[2,4] y) <float[3,4] w, float[3,1] k>
            { s = Add(x, k) y = Gemm<transA=1>(s, w) }""",
            "y = Gemm<transA=1>(x, #, #)",
        ),
        Example(
            "a bias computed at run time",
            """(float[2,3] x, float[4] b) => (float[2,4] y) <float[3,4] w> { g = Gemm(x, w) y = Add(b, g) }""",
            "y = Gemm(x, #, b)",
        ),
        Example(
            "a number per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] k> { g = Gemm(x, w) y = Add(g, k) }""",
            refused="not one finite number per column",
        ),
        Example(
            "the constant makes the result larger",
            """(float[2,3] x) => (float[2,4] y) <float[3,1] w, float[4] k> { g = Gemm(x, w) y = Add(g, k) }""",
            refused="not one finite number per column",
        ),
        Example(
            "a bias per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] b, float[4] k>
            { g = Gemm(x, w, b) y = Add(g, k) }""",
            refused="not one number per column",
        ),
    )


def _before(m: Match, new: Builder, columns: int) -> Replacement:
    length, array = reduction_of(m.gemm), m.array("c")
    axis = 0 if attribute(m.gemm, "transA", 0) else 1
    shift = shifts_of(m.step, array, 2, axis, length) if isinstance(length, int) else None
    bias = gemm_bias(m, columns)
    if shift is None or bias is None or array is None or not fits(m.dims("a"), array.shape):
        return Refusal("the constant is not one finite number per summand")
    alpha = float(attribute(m.gemm, "alpha", 1.0))
    transposed = bool(attribute(m.gemm, "transB", 0))
    added = derive_bias(new, lambda w: alpha * (shift @ (w.T if transposed else w)) + bias, m.w, size=columns)
    return new.Gemm(m.a, m.w, added, like=m.gemm, beta=None)
