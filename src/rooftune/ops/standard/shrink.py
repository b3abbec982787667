"""Shrink: elements moved towards zero by the bias, those within ±lambd set to zero."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Shrink", since=9)
class Shrink:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # two sides, each: test and select, and the element moved by the bias
        n = x.elements
        return Work(elementwise={"compare": 2 * n, "add": 2 * n})

    cases = (
        Case("float32[5] -> float32[5]", flops=20, elementwise={"compare": 10, "add": 10},
             bytes_read=20, bytes_written=20),
        Case("int8[N,3] -> int8[N,3]", {"lambd": 1.5, "bias": 1.5}, flops="12*N",
             bytes_read="3*N", bytes_written="3*N"),
    )
