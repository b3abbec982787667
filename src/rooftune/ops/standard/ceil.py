"""Ceil: up to the next whole number."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Ceil")
class Ceil:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"round": x.elements})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=6, elementwise={"round": 6}, bytes_read=24, bytes_written=24),
        Case("float64[N] -> float64[N]", flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
