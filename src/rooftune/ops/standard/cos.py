"""Cos: the cosine of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Cos", since=7)
class Cos:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[8] -> float32[8]", flops=8, elementwise={"trig": 8}, bytes_read=32, bytes_written=32),
        Case("float64[N,2] -> float64[N,2]", flops="2*N", bytes_read="16*N", bytes_written="16*N"),
    )
