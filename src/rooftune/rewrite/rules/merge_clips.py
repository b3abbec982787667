"""Bounds one after the other."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.bounds import bounds_of, within, write_bounds
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MergeClips(Rule):
    """Merge two operators that keep values within bounds — Clip, Relu, Max or Min with a number — into one."""

    pattern = (
        "Clip(inner=Clip|Relu(_, _, _), _, _)",
        "Relu(inner=Clip(_, _, _))",
        "Clip(inner=Max|Min(_, _), _, _)",
        "Relu(inner=Max|Min(_, _))",
        "Max|Min(inner=Clip|Relu(_, _, _), _)",
        "Max(inner=Max(_, _), _)",
        "Min(inner=Min(_, _), _)",
    )
    exactness = Exactness.REASSOCIATES
    """Bitwise but for the sign of zeros."""

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = bounds_of(node)
        found = super().find(node) if outer is not None else None
        if outer is None or not isinstance(found, Match):
            return found
        inner = bounds_of(found.inner) if outer[0] is found.inner.outputs[0] else None
        if inner is None:
            return None
        known = {"x": inner[0], "bounds": within(inner[1], outer[1]), "dtype": node.outputs[0].dtype}
        return Match(node, {**found.found, **known}, found.nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        made = write_bounds(new, m.x, m.bounds)
        if made is None:
            return Refusal(f"no operator of operator set {new.opset} has both bounds for {m.dtype.name.lower()}")
        return made

    examples = (
        Example(
            "two clips",
            """(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float b = {0.9}, float c = {0.4}>
            { t = Clip(x, a, b) y = Clip(t, , c) }""",
            "y = Clip(x, #, #)",
        ),
        Example(
            "one-sided clips",
            "(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float b = {0.1}> { t = Clip(x, a) y = Clip(t, b) }",
            "y = Clip(x, #)",
            opset=11,
        ),
        Example(
            "two clips, attributes",
            "(float[2,3] x) => (float[2,3] y) { t = Clip<min=-0.5, max=0.75>(x) y = Clip<max=0.5>(t) }",
            "y = Clip<max=0.5, min=-0.5>(x)",
            opset=7,
        ),
        Example(
            "clip of relu",
            "(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float b = {0.5}> { t = Relu(x) y = Clip(t, a, b) }",
            "y = Clip(x, #, #)",
        ),
        Example(
            "relu of clip",
            "(double[2,3] x) => (double[2,3] y) <double b = {0.5}> { t = Clip(x, , b) y = Relu(t) }",
            "y = Clip(x, #, #)",
        ),
        Example(
            "min of relu",
            "(float[2,3] x) => (float[2,3] y) <float b = {0.5}> { t = Relu(x) y = Min(b, t) }",
            "y = Clip(x, #, #)",
        ),
        Example(
            "max of max",
            """(float[2,3] x) => (float[2,3] y) <float a = {-0.5}, float b = {0.5}>
            { t = Max(x, a) y = Max(t, b) }""",
            "y = Max(x, #)",
        ),
        Example(
            "relu of max",
            "(float[2,3] x) => (float[2,3] y) <float a = {-0.5}> { t = Max(x, a) y = Relu(t) }",
            "y = Relu(x)",
        ),
        Example(
            "whole numbers",
            """(int32[2,3] x) => (int32[2,3] y) <int32 a = {0}, int32 b = {3}, int32 c = {1}>
            { t = Clip(x, a, b) y = Min(t, c) }""",
            "y = Clip(x, #, #)",
            opset=12,
        ),
        Example(
            "another reader",
            "(float[2,3] x) => (float[2,3] y, float[2,3] t) <float b = {0.5}> { t = Relu(x) y = Clip(t, , b) }",
            refused="an output of the graph",
        ),
    )
