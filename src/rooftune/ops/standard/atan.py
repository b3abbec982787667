"""Atan: the angle whose tangent is the element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Atan", since=7)
class Atan:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[2,5] -> float32[2,5]", flops=10, elementwise={"trig": 10}, bytes_read=40, bytes_written=40),
        # a scalar is one element
        Case("float64[] -> float64[]", flops=1, bytes_read=8, bytes_written=8),
    )
