"""A convolution to which the average of its own input is added becomes a convolution alone."""

from __future__ import annotations

import math

import onnx_ir as ir

from rooftune.rewrite.branch_sums import BranchRule
from rooftune.rewrite.branches import Branch, diagonal, normalised, spatial_sizes, windows_of
from rooftune.rewrite.match import attribute, label_of
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeAveragePoolIntoConvSum(BranchRule):
    """Add an AveragePool, with or without BatchNormalization, to the convolution of the same input it is added to.

    It is a convolution that keeps the channels apart, all of whose taps are one over their number.
    """

    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        node = value.producer()
        norms: tuple[ir.Node, ...] = ()
        if node is not None and node.op_type == "BatchNormalization" and value.index() == 0:
            before = node.inputs[0]
            norms, node = (node,), None if before is None else before.producer()
        if node is None or node.op_type != "AveragePool" or node.inputs[0] is not x:
            return None
        return (*norms, node)

    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        pool = path[-1]
        taps = attribute(pool, "kernel_shape")
        if not taps or len(taps) != len(conv.windows) or any(a.is_ref() for a in pool.attributes.values()):
            return None
        windows = windows_of(pool, taps, spatial_sizes(pool.inputs[0], len(taps)))
        if windows is None:
            return None
        if attribute(pool, "ceil_mode", 0):
            return Refusal("the AveragePool rounds its size up, so its last windows are smaller", label_of(pool))
        padded = any(p for w in windows for p in w.pads)
        if padded and not attribute(pool, "count_include_pad", 0):
            return Refusal("the AveragePool leaves the padding out of its averages", label_of(pool))
        branch = diagonal(conv, windows=windows, products=conv.inner * conv.group * math.prod(taps))
        return normalised(branch, path[0]) if len(path) > 1 else branch

    examples = (
        Example(
            "padding counted",
            """(float[N,4,H,8] x) => (float[N,4,H,8] y) <float[4,4,3,3] w>
            { c = Conv<pads=[1,1,1,1]>(x, w)
              p = AveragePool<count_include_pad=1, kernel_shape=[3,3], pads=[1,1,1,1]>(x) y = Add(c, p) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #)",
        ),
        Example(
            "without padding, strides, normalised",
            """(float[1,4,9] x) => (float[1,4,4] y)
            <float[4,1,3] w, float[4] b, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { c = Conv<group=4, strides=[2]>(x, w, b) p = AveragePool<kernel_shape=[3], strides=[2]>(x)
              n = BatchNormalization(p, scale, shift, mean, var) y = Add(n, c) }""",
            "y = Conv<group=4, strides=[2]>(x, #, #)",
        ),
        Example(
            "padding left out",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,3,3] w>
            { c = Conv<pads=[1,1,1,1]>(x, w) p = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) y = Add(c, p) }""",
            refused="leaves the padding out",
        ),
        Example(
            "larger than the kernel",
            """(float[1,8,8,8] x) => (float[1,8,8,8] y) <float[8,8,1,1] w>
            { c = Conv(x, w) p = AveragePool<count_include_pad=1, kernel_shape=[3,3], pads=[1,1,1,1]>(x)
              y = Add(c, p) }""",
            refused="4.24 times",
        ),
    )
