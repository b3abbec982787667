"""Sizes and indices that follow from known shapes are computed once, here."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.edit import Workplace, replace_by_constant
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class FoldShapes(Sweep):
    """Compute whole numbers that follow from constants and from the shapes of values."""

    def run(self, place: Workplace) -> list[Applied]:
        values = SmallValues()
        found = []
        for node in list(place.all_nodes()):
            if node.graph is None or len(node.outputs) != 1 or place.in_function(node) or node.op_type == "Constant":
                continue
            output = node.outputs[0]
            if output.dtype is None or not _counts(output.dtype) or not output.uses() or output.is_graph_output():
                continue
            elements = values.of(output)
            if elements is None or elements.dtype == object:
                continue
            found.append(
                replace_by_constant(place, self.name, output, ir.Tensor(elements.astype(output.dtype.numpy())))
            )
        return found

    examples = (
        Example(
            "a shape computed from a known one",
            """(float[2,3,4] x) => (float[2,12] y) <int64[1] zero = {0}, int64[1] rest = {-1}, int64 axis = {0}>
            { s = Shape(x) n = Gather(s, zero) t = Concat<axis=0>(n, rest) y = Reshape(x, t) }""",
            "y = Reshape(x, #)",
        ),
    )


def _counts(dtype: ir.DataType) -> bool:
    return dtype.is_integer() or dtype == ir.DataType.BOOL
