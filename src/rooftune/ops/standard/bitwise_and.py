"""BitwiseAnd: the bits set in both integers."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitwiseAnd", since=18)
class BitwiseAnd:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("int32[4], int32[4] -> int32[4]", flops=4, elementwise={"logic": 4}, bytes_read=32, bytes_written=16),
        Case("uint8[N,3], uint8[3] -> uint8[N,3]", flops="3*N", bytes_read="3*N + 3", bytes_written="3*N"),
    )
