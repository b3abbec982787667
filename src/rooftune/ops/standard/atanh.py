"""Atanh: the inverse of the hyperbolic tangent."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Atanh", since=9)
class Atanh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[7] -> float32[7]", flops=7, elementwise={"tanh": 7}, bytes_read=28, bytes_written=28),
        Case("float16[0,4] -> float16[0,4]", flops=0, bytes_read=0, bytes_written=0),
    )
