"""Sqrt: the square root of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sqrt")
class Sqrt:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"sqrt": x.elements})

    cases = (
        Case("float32[4,2] -> float32[4,2]", flops=8, elementwise={"sqrt": 8}, bytes_read=32, bytes_written=32),
        Case("float64[N,1] -> float64[N,1]", flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
