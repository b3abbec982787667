"""Cosh: the hyperbolic cosine of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Cosh", since=9)
class Cosh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[3] -> float32[3]", flops=3, elementwise={"tanh": 3}, bytes_read=12, bytes_written=12),
        Case("float16[N,3] -> float16[N,3]", flops="3*N", bytes_read="6*N", bytes_written="6*N"),
    )
