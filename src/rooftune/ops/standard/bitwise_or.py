"""BitwiseOr: the bits set in at least one of two integers."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitwiseOr", since=18)
class BitwiseOr:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("int16[2,4], int16[2,4] -> int16[2,4]", flops=8, elementwise={"logic": 8},
             bytes_read=32, bytes_written=16),
        Case("uint64[2,1], uint64[3] -> uint64[2,3]", flops=6, bytes_read=16 + 24, bytes_written=48),
    )
