"""Axes and other settings that older operator sets keep as attributes and newer ones as inputs."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.match import attribute

__all__ = ["axes_of", "permutation", "rank_of"]


def rank_of(value: ir.Value | None) -> int | None:
    """The rank of a value; None where it is not known."""
    kind = value_type(value)
    return len(kind.dims) if isinstance(kind, TensorType) and kind.dims is not None else None


def axes_of(node: ir.Node, *, position: int = 1, rank: int | None = None) -> tuple[int, ...] | None:
    """The axes of a Squeeze, Unsqueeze or reduction, none of them negative; None where they are not known or absent.

    rank  of the tensor the axes count in; default that of the first input (of the output for Unsqueeze)
    """
    if rank is None:
        rank = rank_of(node.outputs[0] if node.op_type == "Unsqueeze" else node.inputs[0])
    given = node.inputs[position] if len(node.inputs) > position else None
    if given is not None:
        values = constant_of(given)
        axes = None if values is None else [int(v) for v in values.reshape(-1)]
    else:
        axes = attribute(node, "axes")
    if axes is None or rank is None:
        return None
    return tuple(int(a) + rank if a < 0 else int(a) for a in axes)


def permutation(node: ir.Node) -> tuple[int, ...] | None:
    """The permutation of a Transpose, the default one written out; None where the rank is not known."""
    given = attribute(node, "perm")
    if given is not None:
        return tuple(int(p) for p in given)
    rank = rank_of(node.inputs[0])
    return None if rank is None else tuple(reversed(range(rank)))
