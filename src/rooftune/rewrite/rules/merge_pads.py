"""A Pad of a Pad is one."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.padding import fill_of, pads_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import only_reader, producer_of
from rooftune.verdicts import Exactness, Refusal


class MergePads(Rule):
    """Merge two Pads in a row that fill with the same number, or both with the edge."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Pad")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        inner = producer_of(node.inputs[0], "Pad")
        if inner is None or not only_reader(inner.outputs[0]):
            return None
        mode = attribute(node, "mode", "constant")
        if attribute(inner, "mode", "constant") != mode or mode not in ("constant", "edge"):
            return None
        first, second = pads_of(inner), pads_of(node)
        if first is None or second is None or (first < 0).any() or (second < 0).any():
            return None
        if mode == "constant" and (fill_of(inner) is None or fill_of(inner) != fill_of(node)):
            return None
        return Match(node, {"x": inner.inputs[0], "pads": (first + second).reshape(-1)}, (node, inner))

    def replace(self, m: Match, new: Builder) -> Replacement:
        pads = [int(p) for p in m.pads]
        if len(m.root.inputs) == 1:
            return new.node("Pad", [m.x], like=m.root, pads=pads)[0]
        fill = m.root.inputs[2] if len(m.root.inputs) > 2 else None
        return new.node("Pad", [m.x, new.integers(pads), fill], like=m.root)[0]

    examples = (
        Example(
            "zeros",
            """(float[2,3] x) => (float[4,6] y)
            <int64[4] p = {1,1,0,0}, int64[4] q = {0,1,1,1}, int64[2] r = {0,-1}, float z = {0}>
            { a = Pad(x, p) y = Pad(a, q, z, r) }""",
            "y = Pad(x, #, #)",
            opset=20,
        ),
        Example(
            "as attributes",
            """(float[2,3] x) => (float[5,3] y)
            { a = Pad<pads=[1,0,0,0], value=2.0>(x) y = Pad<pads=[0,0,2,0], value=2.0>(a) }""",
            "y = Pad<pads=[1,0,2,0], value=2.0>(x)",
            opset=10,
        ),
    )
