"""A split runs on the quantised integers instead of on the numbers they stand for."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.quantisation import dequantized, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness


class MoveSplitToIntegers(Rule):
    """Run a Split on integers where all its outputs are quantised again as its input is.

    Each output gets the DequantizeLinear of the input, which `remove_redundant_qdq` then takes out together with the
    QuantizeLinear that reads it. ONNX Runtime does this itself; nodes fall, time does not.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Split")})

    def find(self, node: ir.Node) -> Match | None:
        before = dequantized(node.inputs[0])
        kind = None if before is None else quantisation(before, rank_of(node.inputs[0]))
        if before is None or kind is None or kind.axis is not None:
            return None
        for value in node.outputs:
            if value.is_graph_output():
                return None
            for reader, place in value.uses():
                if reader.op_type != "QuantizeLinear" or place != 0:
                    return None
                again = quantisation(reader, rank_of(value))
                if again is None or not again.agrees(kind):
                    return None
        return Match(node, {"x": before.inputs[0], "before": before}, (node,))

    def replace(self, m: Match, new: Builder) -> Replacement:
        parts = new.node("Split", [m.x, *m.root.inputs[1:]], like=m.root, outputs=len(m.root.outputs))
        again = m.before
        return [new.node(again.op_type, [p, *again.inputs[1:]], like=again, domain=again.domain)[0] for p in parts]

    examples = (
        Example(
            "two halves",
            """(uint8[2,4] x) => (uint8[2,2] y, uint8[2,2] z) <float s = {0.1}, uint8 o = {7}, int64[2] parts = {2, 2}>
            { d = DequantizeLinear(x, s, o) a, b = Split<axis=1>(d, parts)
              y = QuantizeLinear(a, s, o) z = QuantizeLinear(b, s, o) }""",
            """v1, v2 = Split<axis=1>(x, #)
            a = DequantizeLinear(v1, #, #)
            b = DequantizeLinear(v2, #, #)
            y = QuantizeLinear(a, #, #)
            z = QuantizeLinear(b, #, #)""",
        ),
    )
