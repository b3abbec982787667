"""Erf: the Gaussian error function of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Erf", since=9)
class Erf:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"erf": x.elements})

    cases = (
        Case("float32[3,4] -> float32[3,4]", flops=12, elementwise={"erf": 12}, bytes_read=48, bytes_written=48),
        Case("float16[N,4] -> float16[N,4]", flops="4*N", bytes_read="8*N", bytes_written="8*N"),
    )
