"""What an operator costs: one operator per file, pure functions of shapes, element types and attributes."""

from rooftune.ops.case import Case
from rooftune.ops.operator import Operator, operator
from rooftune.ops.registry import find, known_operators, work_of
from rooftune.ops.types import (
    ELEMENTWISE_CLASSES,
    OptionalType,
    SequenceType,
    ShapeUnknown,
    TensorType,
    ValueType,
    Work,
)

__all__ = [
    "ELEMENTWISE_CLASSES",
    "Case",
    "Operator",
    "OptionalType",
    "SequenceType",
    "ShapeUnknown",
    "TensorType",
    "ValueType",
    "Work",
    "find",
    "known_operators",
    "operator",
    "work_of",
]
