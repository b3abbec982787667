"""Asinh: the inverse of the hyperbolic sine."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Asinh", since=9)
class Asinh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[5] -> float32[5]", flops=5, elementwise={"tanh": 5}, bytes_read=20, bytes_written=20),
        Case("bfloat16[N,2] -> bfloat16[N,2]", flops="2*N", bytes_read="4*N", bytes_written="4*N"),
    )
