"""Ways of counting bytes: `textbook`, `unfused` and `ideal`, per node and per model (`fused` needs groups)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rooftune.analysis.tensors import Tensor
from rooftune.analysis.work import NodeWork
from rooftune.ops.types import add_up
from rooftune.quantities import Maybe, Unknown

__all__ = ["BYTE_VIEWS", "ideal_bytes", "textbook_bytes", "unfused_bytes"]

BYTE_VIEWS = ("textbook", "unfused", "fused", "ideal")


def textbook_bytes(node: NodeWork) -> Maybe:
    """Weights and outputs of the node: the convention of much roofline teaching."""
    if isinstance(node.work, Unknown):
        return _sizes([t for t in node.inputs if t is not None and t.constant] + _present(node.outputs))
    if node.folded:
        return 0
    reads = node.work.reads or ()
    weights = [size for tensor, size in zip(node.inputs, reads) if tensor is not None and tensor.constant]
    return add_up((*weights, *(node.work.writes or ())))


def unfused_bytes(node: NodeWork) -> Maybe:
    """Inputs, weights and outputs of the node, as if every operator went through memory.

    Known for operators without a formula too: what they touch is what they are given.
    """
    if isinstance(node.work, Unknown):
        return _sizes(_present(node.inputs) + _present(node.outputs))
    return add_up((*(node.work.reads or ()), *(node.work.writes or ())))


def ideal_bytes(nodes: Sequence[NodeWork], storage: Mapping[str, str]) -> list[Maybe]:
    """Per node, its part of the model's inputs, outputs and weights, each counted where it is first touched.

    The sum over the nodes is the traffic of a machine with an infinite cache. A table that is read in part
    (an embedding) counts with the part that is read.
    """
    seen: set[str] = set()
    shares: list[Maybe] = []
    for node in nodes:
        parts: list[Maybe] = []
        if not node.folded:
            reads = node.work.reads or () if not isinstance(node.work, Unknown) else ()
            for position, tensor in enumerate(node.inputs):
                if tensor is None or not (tensor.constant or tensor.is_input):
                    continue
                key = storage.get(tensor.name, tensor.name)
                if key not in seen:
                    seen.add(key)
                    parts.append(reads[position] if position < len(reads) else tensor.bytes)
            parts += [t.bytes for t in node.outputs if t is not None and t.is_output]
        shares.append(add_up(parts))
    return shares


def _present(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    return [t for t in tensors if t is not None]


def _sizes(tensors: Sequence[Tensor]) -> Maybe:
    return add_up(t.bytes for t in tensors)
