"""LessOrEqual: true where the first element is not the larger one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("LessOrEqual", since=12)
class LessOrEqual:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"compare": c.elements})

    cases = (
        Case("float64[2,3], float64[2,3] -> bool[2,3]", flops=6, elementwise={"compare": 6},
             bytes_read=96, bytes_written=6),
        Case("uint8[N,4], uint8[4] -> bool[N,4]", flops="4*N", bytes_read="4*N + 4", bytes_written="4*N"),
    )
