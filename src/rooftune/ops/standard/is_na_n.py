"""IsNaN: whether an element is not a number, which is all that differs from itself."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("IsNaN", since=9)
class IsNaN:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        # one flag of one byte for every element
        Case("float32[6] -> bool[6]", flops=6, elementwise={"compare": 6}, bytes_read=24, bytes_written=6),
        Case("float16[N,2] -> bool[N,2]", flops="2*N", bytes_read="4*N", bytes_written="2*N"),
    )
