"""Resizes to the same size go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.match import attribute
from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example
from rooftune.rewrite.views import dims_of

SHIFTING = ("tf_crop_and_resize", "tf_half_pixel_for_nn")
"""Coordinates that do not stay where they are at scale 1."""


class RemoveNoopResize(NoOp):
    """Remove a Resize or Upsample whose scales are all one, or whose sizes are those of its input."""

    ops = ("Resize", "Upsample")

    def idle(self, node: ir.Node) -> bool:
        if attribute(node, "coordinate_transformation_mode", "half_pixel") in SHIFTING:
            return False
        given = list(node.inputs) + [None] * 4
        if node.op_type == "Upsample" and "scales" in node.attributes:
            return all(s == 1 for s in attribute(node, "scales") or (0,))
        scales = given[2] if len(node.inputs) > 2 else given[1]
        known = constant_of(scales)
        if known is not None and known.size:
            return bool((known == 1).all())
        dims, sizes = dims_of(node.inputs[0]), SmallValues().of(given[3])
        if dims is None or sizes is None or attribute(node, "axes") is not None:
            return False
        stretches = attribute(node, "keep_aspect_ratio_policy", "stretch") == "stretch"
        return bool(stretches and sizes.tolist() == list(dims))

    examples = (
        Example(
            "by scales",
            """(float[1,2,4,4] x) => (float[1,2,4,4] y) <float[4] s = {1,1,1,1}>
            { r = Resize<mode="linear">(x, , s) y = Relu(r) }""",
            "y = Relu(x)",
        ),
        Example(
            "by open sizes",
            """(float[N,2,4,4] x) => (float[N,2,4,4] y)
            { s = Shape(x) r = Resize<mode="cubic">(x, , , s) y = Relu(r) }""",
            "y = Relu(x)",
        ),
        Example(
            "upsample",
            "(float[1,2,4,4] x) => (float[1,2,4,4] y) { r = Upsample<scales=[1.0,1.0,1.0,1.0]>(x) y = Relu(r) }",
            "y = Relu(x)",
            opset=8,
        ),
    )
