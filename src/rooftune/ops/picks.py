"""Bytes of the part of a tensor that an operator picks by index."""

from __future__ import annotations

from rooftune.ops.types import TensorType
from rooftune.quantities import Count, Maybe, Unknown, smaller

__all__ = ["picked_bytes"]


def picked_bytes(source: TensorType, elements: Count) -> Maybe:
    """Bytes of `elements` picked from `source`; what is picked twice lies in cache, so never more than it holds."""
    if isinstance(source.bytes, Unknown):
        return source.bytes
    return source.dtype.nbytes(smaller(elements, source.elements))
