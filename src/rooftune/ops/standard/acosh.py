"""Acosh: the inverse of the hyperbolic cosine."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Acosh", since=9)
class Acosh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[2,2] -> float32[2,2]", flops=4, elementwise={"tanh": 4}, bytes_read=16, bytes_written=16),
        Case("float64[3,0] -> float64[3,0]", flops=0, bytes_read=0, bytes_written=0),
    )
