"""Exp: e to the power of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Exp")
class Exp:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"exp": x.elements})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=6, elementwise={"exp": 6}, bytes_read=24, bytes_written=24),
        Case("float64[N,2] -> float64[N,2]", flops="2*N", bytes_read="16*N", bytes_written="16*N"),
    )
