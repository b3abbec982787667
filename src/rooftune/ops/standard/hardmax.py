"""Hardmax: one at the largest element along an axis, zero everywhere else."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Hardmax")
class Hardmax:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # finding the largest is the work; zeros and ones are written without arithmetic
        n = x.elements
        return Work(elementwise={"compare": n})

    cases = (
        Case("float32[2,5] -> float32[2,5]", flops=10, elementwise={"compare": 10}, bytes_read=40, bytes_written=40),
        Case("float16[N,3,4] -> float16[N,3,4]", {"axis": 1}, flops="12*N", bytes_read="24*N", bytes_written="24*N"),
    )
