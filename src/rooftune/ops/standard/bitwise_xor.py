"""BitwiseXor: the bits set in exactly one of two integers."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitwiseXor", since=18)
class BitwiseXor:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("int64[5], int64[5] -> int64[5]", flops=5, elementwise={"logic": 5}, bytes_read=80, bytes_written=40),
        Case("uint16[N,2], uint16[1] -> uint16[N,2]", flops="2*N", bytes_read="4*N + 2", bytes_written="4*N"),
    )
