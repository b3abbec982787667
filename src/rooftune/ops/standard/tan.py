"""Tan: the tangent of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Tan", since=7)
class Tan:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[3,2] -> float32[3,2]", flops=6, elementwise={"trig": 6}, bytes_read=24, bytes_written=24),
        Case("float16[] -> float16[]", flops=1, bytes_read=2, bytes_written=2),
    )
