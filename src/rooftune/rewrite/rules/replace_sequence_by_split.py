"""Parts of a tensor taken out of a sequence at known places are the outputs of a Split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rooftune.graph.constants import constant_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import SMALL, Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceSequenceBySplit(Rule):
    """Replace a SequenceAt of a SplitToSequence by an output of a Split, or by a Gather where the axis goes.

    PyTorch's exporter writes `chunk` and `split` so. Every part gets a Split of its own, which become one when common
    subexpressions are eliminated.
    """

    pattern = "SequenceAt(&cut=SplitToSequence(x, $sizes?), $place)"
    exactness = Exactness.BITWISE
    since = 11

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims, place = m.dims("x"), m.array("place")
        axis = int(attribute(m.cut, "axis", 0))
        whole = dims[axis] if dims is not None and -len(dims) <= axis < len(dims) else None
        if not isinstance(whole, int) or place is None or place.size != 1:
            return Refusal("the number of parts is not known")
        sizes = _sizes(m, whole)
        at = int(place.reshape(-1)[0])
        if sizes is None or not -len(sizes) <= at < len(sizes):
            return Refusal("the sizes of the parts are not known")
        at %= len(sizes)
        if m.sizes is None and not attribute(m.cut, "keepdims", 1):
            index = new.constant(_scalar(at), hint=f"{m.x.name}_place")
            return new.Gather(m.x, index, axis=axis)
        if new.opset < 13:
            return new.node("Split", [m.x], outputs=len(sizes), axis=axis, split=sizes)[at]
        return new.node("Split", [m.x, new.integers(sizes)], outputs=len(sizes), axis=axis)[at]

    examples = (
        Example(
            "equal parts, the last smaller",
            """(float[2,5] x) => (float[2,2] y) <int64 size = {2}, int64 one = {1}>
            { s = SplitToSequence<axis=1>(x, size) y = SequenceAt(s, one) }""",
            "v1, y, v2 = Split<axis=1>(x, #)",
        ),
        Example(
            "listed sizes, counted from behind",
            """(float[6,2] x) => (float[4,2] y) <int64[2] sizes = {2, 4}, int64 last = {-1}>
            { s = SplitToSequence(x, sizes) y = SequenceAt(s, last) }""",
            "v1, y = Split<axis=0>(x, #)",
        ),
        Example(
            "single rows without their axis",
            """(float[3,2] x) => (float[2] y) <int64 one = {1}>
            { s = SplitToSequence<keepdims=0>(x) y = SequenceAt(s, one) }""",
            "y = Gather<axis=0>(x, #)",
        ),
        Example(
            "an open axis",
            """(float[N,2] x) => (float[2,2] y) <int64 size = {2}, int64 zero = {0}>
            { s = SplitToSequence(x, size) y = SequenceAt(s, zero) }""",
            refused="the number of parts is not known",
        ),
    )


def _scalar(number: int) -> npt.NDArray[np.int64]:
    return np.asarray(number, np.int64)


def _sizes(m: Match, whole: int) -> list[int] | None:
    """Sizes of the parts: listed, or as many of one size as fit and a rest; ones where nothing is said."""
    if m.sizes is None:
        return [1] * whole
    given = constant_of(m.sizes, SMALL)
    if given is None:
        return None
    if given.ndim == 0:
        size = int(given)
        return [min(size, whole - start) for start in range(0, whole, size)] if size > 0 else None
    listed = [int(g) for g in given]
    return listed if sum(listed) == whole and min(listed, default=0) >= 0 else None
