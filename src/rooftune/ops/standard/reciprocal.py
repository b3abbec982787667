"""Reciprocal: one divided by every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Reciprocal")
class Reciprocal:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"div": x.elements})

    cases = (
        Case("float32[3,3] -> float32[3,3]", flops=9, elementwise={"div": 9}, bytes_read=36, bytes_written=36),
        Case("float16[N,6] -> float16[N,6]", flops="6*N", bytes_read="12*N", bytes_written="12*N"),
    )
