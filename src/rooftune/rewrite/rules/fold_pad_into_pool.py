"""A Pad in front of a pool becomes its pads."""

from __future__ import annotations

import math

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.padding import fill_of, joined_pads
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

_NEVER_NEGATIVE = ("Relu", "Sigmoid")


class FoldPadIntoPool(Rule):
    """Fold a Pad into the pads of the pool that reads it: zeros for AveragePool, minus infinity for MaxPool.

    Zeros serve a MaxPool as well where its input is never negative: every window holds an element of the input, which
    is no smaller.
    """

    pattern = "pool=AveragePool|MaxPool(&pad=Pad(x, ...))"
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        pads = joined_pads(m.pad, m.pool)
        if pads is None:
            return Refusal("the pads are not known, crop, reach other axes, or meet an automatic padding")
        reason = _unlike(m.pool, m.pad, m.x) or _window(m.pool, pads)
        if reason is not None:
            return Refusal(reason)
        if m.pool.op_type == "MaxPool":
            return new.MaxPool(m.x, like=m.pool, pads=pads, auto_pad=None)
        return new.AveragePool(m.x, like=m.pool, pads=pads, auto_pad=None, count_include_pad=1)

    examples = (
        Example(
            "mean with zeros",
            """(float[1,3,6,6] x) => (float[1,3,3,3] y) <int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad(x, p) y = AveragePool<kernel_shape=[3,3], strides=[2,2]>(a) }""",
            "y = AveragePool<count_include_pad=1, kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x)",
        ),
        Example(
            "operator set 7, padding counted",
            """(float[1,3,6,6] x) => (float[1,3,7,7] y)
            { a = Pad<pads=[0,0,1,1,0,0,1,1]>(x)
              y = AveragePool<count_include_pad=1, kernel_shape=[4,4], pads=[1,1,1,1]>(a) }""",
            "y = AveragePool<count_include_pad=1, kernel_shape=[4,4], pads=[2,2,2,2]>(x)",
            opset=7,
        ),
        Example(
            "largest, with zeros behind a Relu",
            """(float[1,3,6,6] x) => (float[1,3,3,3] y) <int64[8] p = {0,0,1,1,0,0,1,1}>
            { r = Relu(x) a = Pad(r, p) y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(a) }""",
            "r = Relu(x)\ny = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(r)",
        ),
        Example(
            "largest, with zeros that may win",
            """(float[1,3,6,6] x) => (float[1,3,3,3] y) <int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad(x, p) y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(a) }""",
            refused="may be the largest",
        ),
        Example(
            "mean of its own padding alone",
            """(float[1,3,6,6] x) => (float[1,3,7,7] y) <int64[8] p = {0,0,1,1,0,0,1,1}>
            { a = Pad(x, p) y = AveragePool<kernel_shape=[4,4], pads=[1,1,1,1]>(a) }""",
            refused="does not count",
        ),
        Example(
            "padding as wide as the window",
            """(float[1,3,6,6] x) => (float[1,3,9,9] y) <int64[8] p = {0,0,2,2,0,0,2,2}>
            { a = Pad(x, p) y = AveragePool<kernel_shape=[2,2]>(a) }""",
            refused="as wide as the window",
        ),
    )


def _unlike(pool: ir.Node, pad: ir.Node, x: ir.Value) -> str | None:
    """Why the pool would fill its padding with something else; None where it would not."""
    fill = fill_of(pad)
    if (
        any(attribute(pool, "pads", ()))
        and pool.op_type == "AveragePool"
        and not attribute(pool, "count_include_pad", 0)
    ):
        return "the AveragePool does not count its own padding"
    if pool.op_type == "AveragePool":
        return None if fill == 0 else "an AveragePool pads with zeros alone"
    if any(v.uses() or v.is_graph_output() for v in pool.outputs[1:]):
        return "the indices of the MaxPool count the padding"
    producer = x.producer()
    if fill == 0 and producer is not None and producer.domain == "" and producer.op_type in _NEVER_NEGATIVE:
        return None
    return None if fill == -math.inf else "what the Pad fills with may be the largest of a window"


def _window(pool: ir.Node, pads: list[int]) -> str | None:
    """Why the windows of the pool would not stay what they are; None where they would."""
    kernel = list(attribute(pool, "kernel_shape", ()))
    if attribute(pool, "ceil_mode", 0):
        return "with ceil_mode the last windows would change"
    if any(d != 1 for d in attribute(pool, "dilations", ())):
        return "a dilated window may lie on padding alone"
    if any(p >= k for p, k in zip(pads, kernel * 2, strict=True)):
        return "the padding is as wide as the window"
    return None
