"""The activation that an engine fused behind another operator, counted as its own operator would be."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.ops.registry import find
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count

__all__ = ["activation"]


def activation(name: str, values: TensorType) -> Mapping[str, Count]:
    """Elementwise operations of the operator `name` (Relu, Sigmoid, Clip, ...) on `values`; none for "".

    A fused Clip always has both bounds. Raises ValueError for an activation without a formula.
    """
    if not name:
        return {}
    scalar = TensorType(values.dtype, ())
    inputs = [values, scalar, scalar] if name == "Clip" else [values]
    formula = find("", name)
    work = None if formula is None else formula.work({}, inputs, [values])
    if not isinstance(work, Work):
        raise ValueError(f"no formula for the fused activation {name!r}")
    return work.elementwise
