"""A channel shuffle becomes part of the weights behind or before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.channels import (
    behind,
    dense,
    permuted_channelwise,
    permuted_inputs,
    permuted_outputs,
    shuffle_at,
    why_no_absorber,
    why_no_maker,
)
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import producer_of
from rooftune.verdicts import Exactness, Refusal


class RemoveChannelShuffle(Rule):
    """Remove a channel shuffle by permuting the weights of the convolutions behind it, or of the one before it.

    A permutation of channels passes everything that treats each channel alone: activations, pooling, depthwise
    convolutions, BatchNormalization. A convolution without groups takes it into its weights at no cost.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Conv"), ("", "ConvTranspose"), ("", "Reshape")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        if node.op_type != "Reshape":
            return _at_reader(node)
        shuffle = shuffle_at(node)
        if shuffle is None:
            return None
        before = why_no_maker(shuffle.x)
        if before is None:
            through, source = behind(shuffle.x)
            conv = source.producer()
            assert conv is not None
            found = {"order": shuffle.order, "through": through, "conv": conv}
            return Match(node, found, (*shuffle.nodes, *through, conv))
        after = why_no_absorber(node.outputs[0])
        return None if after is None else Refusal(f"left to the compiler: {after}, and {before}")

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value
        if m.root.op_type == "Reshape":
            order, value = m.order, permuted_outputs(m.conv, m.order, new)
        else:
            order, value = np.argsort(m.order), m.x
        for node in reversed(m.through):
            value = permuted_channelwise(node, value, order, new)
        return value if m.root.op_type == "Reshape" else permuted_inputs(m.root, value, order, new)

    examples = (
        Example(
            "into the convolution before it",
            """(float[1,3,4,4] x) => (float[1,6,4,4] y)
            <float[6,3,1,1] w, float[6] b, int64[5] s = {1,2,3,4,4}, int64[4] t = {1,6,4,4}>
            { c = Conv(x, w, b) r = Relu(c) p = Reshape(r, s) q = Transpose<perm=[0,2,1,3,4]>(p) y = Reshape(q, t) }""",
            "v1 = Conv(x, #, #)\ny = Relu(v1)",
        ),
        Example(
            "into both convolutions behind it",
            """(float[N,3,4,4] x, float[N,3,4,4] z) => (float[N,4,4,4] y, float[N,2,2,2] u)
            <float[4,6,1,1] v, float[6,1,3,3] d, float[6] scale, float[6] shift, float[6] mean, float[6] var,
             float[2,6,1,1] w, float[2] b, int64[5] s = {-1,3,2,4,4}, int64[4] t = {-1,6,4,4}>
            { c = Concat<axis=1>(x, z) p = Reshape(c, s) q = Transpose<perm=[0,2,1,3,4]>(p) k = Reshape(q, t)
              y = Conv(k, v) e = Conv<group=6>(k, d) f = BatchNormalization(e, scale, shift, mean, var) g = Relu(f)
              u = Conv(g, w, b) }""",
            "c = Concat<axis=1>(x, z)\ny = Conv(c, #)\nv1 = Conv<group=6>(c, #)\n"
            "v2 = BatchNormalization(v1, #, #, #, #)\nv3 = Relu(v2)\nu = Conv(v3, #, #)",
        ),
        Example(
            "between a Concat and a Split",
            """(float[1,2,4,4] x, float[1,2,4,4] z) => (float[1,2,4,4] y, float[1,2,4,4] u)
            <int64[5] s = {1,2,2,4,4}, int64[4] t = {1,4,4,4}>
            { c = Concat<axis=1>(x, z) p = Reshape(c, s) q = Transpose<perm=[0,2,1,3,4]>(p) k = Reshape(q, t)
              y, u = Split<axis=1, num_outputs=2>(k) }""",
            refused="a Split follows",
        ),
        Example(
            "between grouped convolutions",
            """(float[1,4,4,4] x) => (float[1,4,4,4] y)
            <float[4,2,1,1] v, float[4,2,1,1] w, int64[5] s = {1,2,2,4,4}, int64[4] t = {1,4,4,4}>
            { c = Conv<group=2>(x, v) p = Reshape(c, s) q = Transpose<perm=[0,2,1,3,4]>(p) k = Reshape(q, t)
              y = Conv<group=2>(k, w) }""",
            refused="a grouped convolution comes before it",
        ),
    )


def _at_reader(conv: ir.Node) -> Match | None:
    """A convolution that takes the permutation in; all other readers of the shuffle must be able to do so, too."""
    if not dense(conv) or conv.inputs[0] is None:
        return None
    through, source = behind(conv.inputs[0])
    end = producer_of(source, "Reshape")
    shuffle = None if end is None else shuffle_at(end)
    if shuffle is None or why_no_absorber(source) is not None:
        return None
    found = {"order": shuffle.order, "through": through, "x": shuffle.x}
    return Match(conv, found, (conv, *through, *shuffle.nodes))
