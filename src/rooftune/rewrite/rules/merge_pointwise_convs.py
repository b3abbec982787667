"""A 1x1 convolution before or behind another convolution, with nothing between, is one convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute, label_of
from rooftune.rewrite.padding import is_pointwise, pads_with_zeros
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import bias_or_zero, derive_bias, output_channels, weight_dims
from rooftune.verdicts import Exactness, Refusal

Floats = NDArray[np.float64]


class MergePointwiseConvs(Rule):
    """Merge a 1x1 Conv with the Conv before or behind it into one, where that is cheaper.

    The weights multiply: W[o,c,k] = Σₘ outer[o,m] · inner[m,c,k]. Where the outer one pads with zeros, the bias of an
    inner 1x1 would have to reach the padding too.
    """

    pattern = "outer=Conv(inner=Conv(x, w!, b!?), w2!, b2!?)"
    exactness = Exactness.REASSOCIATES
    must_pay = True

    def find(self, node: Any) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or not (is_pointwise(found.outer) or is_pointwise(found.inner)):
            return None
        # separable convolutions, 1x1 with one filter per channel, are made to be apart
        return None if any(attribute(conv, "group", 1) != 1 for conv in (found.inner, found.outer)) else found

    def guard(self, m: Match) -> Refusal | None:
        if not is_pointwise(m.outer) and pads_with_zeros(m.outer) and bias_or_zero(m, "inner", "b").any():
            reason = "the second convolution pads with zeros, which the bias of the first does not reach"
            return Refusal(reason, label_of(m.inner))
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        first, second = weight_dims(m.inner), weight_dims(m.outer)
        assert first is not None and second is not None
        kernel = first[2:] if is_pointwise(m.outer) else second[2:]
        kept = m.inner if is_pointwise(m.outer) else m.outer
        weight = new.derive(_product, m.w2, m.w, shape=(second[0], first[1], *kernel))
        return new.Conv(m.x, weight, self._bias(m, new), like=kept)

    def _bias(self, m: Match, new: Builder) -> Any:
        inner = bias_or_zero(m, "inner", "b")
        if m.b is None or not inner.any():
            return m.b2
        outer = bias_or_zero(m, "outer", "b2")

        def add_up(w2: Floats) -> Floats:
            summed: Floats = w2.sum(axis=tuple(range(2, w2.ndim))) @ inner + outer
            return summed

        return derive_bias(new, add_up, m.w2, size=output_channels(m.outer))

    examples = (
        Example(
            "1x1 behind 3x3",
            """(float[1,3,16,16] x) => (float[1,4,8,8] y)
            <float[32,3,3,3] w, float[32] b, float[4,32,1,1] w2, float[4] b2>
            { c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b) y = Conv<kernel_shape=[1,1]>(c, w2, b2) }""",
            "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, #, #)",
        ),
        Example(
            "1x1 before 3x3",
            """(float[1,4,8,8] x) => (float[1,4,6,6] y) <float[32,4,1,1] w, float[32] b, float[4,32,3,3] w2>
            { c = Conv(x, w, b) y = Conv(c, w2) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "1x1 without bias before a padded 3x3",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y) <float[32,4,1,1] w, float[4,32,3,3] w2, float[4] b2>
            { c = Conv(x, w) y = Conv<pads=[1,1,1,1]>(c, w2, b2) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "two 1x1",
            """(float[1,4,8] x) => (float[1,4,8] y) <float[8,4,1] w, float[8] b, float[4,8,1] w2>
            { c = Conv(x, w, b) y = Conv(c, w2) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "1x1 with bias before a padded 3x3",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y) <float[32,4,1,1] w, float[32] b, float[4,32,3,3] w2>
            { c = Conv(x, w, b) y = Conv<pads=[1,1,1,1]>(c, w2) }""",
            refused="pads with zeros",
        ),
        Example(
            "a bottleneck",
            """(float[1,64,8,8] x) => (float[1,64,8,8] y) <float[4,64,1,1] w, float[64,4,1,1] w2>
            { c = Conv(x, w) y = Conv(c, w2) }""",
            refused="would not be",
        ),
    )


def _product(outer: Floats, inner: Floats) -> Floats:
    """The weights of two convolutions multiplied: (o, m, 1...) by (m, c, k...), or (o, m, k...) by (m, c, 1...)."""
    if all(d == 1 for d in outer.shape[2:]):
        pointwise = outer.reshape(outer.shape[:2])
        return np.tensordot(pointwise, inner, axes=(1, 0))
    pointwise = inner.reshape(inner.shape[:2])
    return np.moveaxis(np.tensordot(outer, pointwise, axes=(1, 0)), -1, 1)
