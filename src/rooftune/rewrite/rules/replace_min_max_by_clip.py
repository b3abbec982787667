"""A Max and a Min with numbers are one Clip."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.bounds import bounds_of, can_be_clipped, within, write_bounds
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceMinMaxByClip(Rule):
    """Replace the Min of a Max with numbers, or the Max of a Min, by one Clip."""

    pattern = ("Min(inner=Max(_, _), _)", "Max(inner=Min(_, _), _)")
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = bounds_of(node)
        found = super().find(node) if outer is not None else None
        if outer is None or not isinstance(found, Match):
            return found
        inner = bounds_of(found.inner) if outer[0] is found.inner.outputs[0] else None
        if inner is None:
            return None
        known = {"x": inner[0], "bounds": (inner[1], outer[1]), "dtype": node.outputs[0].dtype}
        return Match(node, {**found.found, **known}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        inner, outer = m.bounds
        low, high = max(inner[0], outer[0]), min(inner[1], outer[1])
        return Refusal(f"the lower bound {low:g} is above the upper one {high:g}") if low > high else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        if not can_be_clipped(m.dtype, new.opset):
            return Refusal(f"Clip of operator set {new.opset} does not take {m.dtype.name.lower()}")
        made = write_bounds(new, m.x, within(*m.bounds))
        return made if made is not None else Refusal("neither bound is a number")

    examples = (
        Example(
            "min of max",
            """(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float[1] b = {0.5}>
            { t = Max(a, x) y = Min(t, b) }""",
            "y = Clip(x, #, #)",
        ),
        Example(
            "max of min, attributes",
            """(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float b = {0.5}>
            { t = Min(x, b) y = Max(a, t) }""",
            "y = Clip<max=0.5, min=-0.5>(x)",
            opset=10,
        ),
        Example(
            "whole numbers",
            """(int64[2,3] x) => (int64[2,3] y) <int64 a = {0}, int64 b = {1}>
            { t = Max(x, a) y = Min(t, b) }""",
            "y = Clip(x, #, #)",
            opset=12,
        ),
        Example(
            "bounds crossed",
            """(float[2,3] x) => (float[2,3] y) <float a = {0.5}, float b = {-0.5}>
            { t = Max(x, a) y = Min(t, b) }""",
            refused="above the upper one",
        ),
        Example(
            "element type Clip does not take",
            """(double[2,3] x) => (double[2,3] y) <double a = {-0.5}, double b = {0.5}>
            { t = Max(x, a) y = Min(t, b) }""",
            refused="does not take double",
            opset=11,
        ),
    )
