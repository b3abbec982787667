"""A worked example of an operator's cost: test and documentation in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rooftune.ops.types import SequenceType, TensorType, ValueType
from rooftune.quantities import Dim, DType, symbol

__all__ = ["Case"]

_ONE = re.compile(r"\s*(seq\()?(\w+)\[([^\]]*)\](\))?(?:\*(\w+))?\s*|\s*-\s*")


@dataclass(frozen=True)
class Case:
    """Types in and out, attributes, and the numbers worked out by hand.

    `signature` reads `float32[1,3,8,8], float32[4,3,3,3], - -> float32[1,4,6,6]`: `-` is an absent optional,
    a word in a shape is an open dimension, `seq(float32[2,3])*4` a sequence of four tensors.
    Numbers left out are not checked, but `flops` and both byte counts always are.
    """

    signature: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    flops: Any = 0
    macs: Any = None
    padding_macs: Any = None
    elementwise: Mapping[str, Any] | None = None
    bytes_read: Any = 0
    bytes_written: Any = 0

    @property
    def inputs(self) -> list[ValueType | None]:
        return _parse_types(self.signature.split("->")[0])

    @property
    def outputs(self) -> list[ValueType | None]:
        return _parse_types(self.signature.split("->")[1])


def _parse_types(text: str) -> list[ValueType | None]:
    found: list[ValueType | None] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _ONE.match(text, position)
        if match is None:
            raise ValueError(f"cannot read a type at {text[position:]!r}")
        position = match.end()
        if position < len(text):
            if text[position] != ",":
                raise ValueError(f"expected a comma at {text[position:]!r}")
            position += 1
        found.append(_build(match))
    return found


def _build(match: re.Match[str]) -> ValueType | None:
    if match.group(2) is None:
        return None
    dims = tuple(_dim(d) for d in match.group(3).split(",") if d.strip())
    tensor = TensorType(DType.parse(match.group(2)), dims)
    if match.group(1):
        return SequenceType(tensor, _dim(match.group(5)) if match.group(5) else None)
    return tensor


def _dim(text: str) -> Dim:
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else symbol(text)
