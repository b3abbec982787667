"""How much larger Resize and Upsample make every dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import attribute, input_of
from rooftune.compiler.operations import Floats
from rooftune.graph.constants import constant_of

__all__ = ["given_scales", "is_old", "scaled_axes"]


def is_old(node: ir.Node) -> bool:
    """Upsample, and Resize before opset 11, which has no region of interest."""
    return node.op_type == "Upsample" or len(node.inputs) == 2


def given_scales(node: ir.Node, dims: Sequence[int]) -> Floats | None:
    """How much larger every dimension becomes; None where that is not said, or not known."""
    given = input_of(node, 1 if is_old(node) else 2)
    numbers = attribute(node, "scales", None) if node.op_type == "Upsample" and given is None else constant_of(given)
    if numbers is None or np.size(numbers) == 0:
        return None
    found = np.ones(len(dims), np.float32)
    found[scaled_axes(node, dims)] = np.asarray(numbers, np.float32)
    return found


def scaled_axes(node: ir.Node, dims: Sequence[int]) -> list[int]:
    """The dimensions that scales or sizes are given of."""
    return [int(a) % len(dims) for a in attribute(node, "axes", range(len(dims)))]
