"""Asin: the angle whose sine is the element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Asin", since=7)
class Asin:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[3,3] -> float32[3,3]", flops=9, elementwise={"trig": 9}, bytes_read=36, bytes_written=36),
        Case("float64[N] -> float64[N]", flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
