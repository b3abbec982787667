"""BitwiseNot: every bit of an integer turned."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitwiseNot", since=18)
class BitwiseNot:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"logic": x.elements})

    cases = (
        Case("int32[3,2] -> int32[3,2]", flops=6, elementwise={"logic": 6}, bytes_read=24, bytes_written=24),
        Case("uint8[N,7] -> uint8[N,7]", flops="7*N", bytes_read="7*N", bytes_written="7*N"),
    )
