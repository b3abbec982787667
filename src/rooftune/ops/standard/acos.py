"""Acos: the angle whose cosine is the element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Acos", since=7)
class Acos:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[4] -> float32[4]", flops=4, elementwise={"trig": 4}, bytes_read=16, bytes_written=16),
        Case("float16[N,3] -> float16[N,3]", flops="3*N", bytes_read="6*N", bytes_written="6*N"),
    )
