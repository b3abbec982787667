"""Sinh: the hyperbolic sine of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sinh", since=9)
class Sinh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[2,2] -> float32[2,2]", flops=4, elementwise={"tanh": 4}, bytes_read=16, bytes_written=16),
        Case("float64[N] -> float64[N]", flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
