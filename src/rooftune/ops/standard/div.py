"""Div: the quotient of two tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Div")
class Div:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"div": c.elements})

    cases = (
        Case("float32[4], float32[4] -> float32[4]", flops=4, elementwise={"div": 4}, bytes_read=32, bytes_written=16),
        Case("int32[2,3], int32[3] -> int32[2,3]", flops=6, bytes_read=24 + 12, bytes_written=24),
        Case("float32[N,5], float32[N,1] -> float32[N,5]", flops="5*N", bytes_read="24*N", bytes_written="20*N"),
    )
