"""Abs: the magnitude of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Abs")
class Abs:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=6, elementwise={"compare": 6}, bytes_read=24, bytes_written=24),
        Case("int8[N,5] -> int8[N,5]", flops="5*N", bytes_read="5*N", bytes_written="5*N"),
    )
