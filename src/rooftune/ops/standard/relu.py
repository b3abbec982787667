"""Relu: the larger of the element and zero."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Relu")
class Relu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=6, elementwise={"compare": 6}, bytes_read=24, bytes_written=24),
        Case("int8[7] -> int8[7]", flops=7, bytes_read=7, bytes_written=7),
    )
