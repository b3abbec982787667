"""Add: the sum of two tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Add")
class Add:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"add": c.elements})

    cases = (
        Case("float32[2,3], float32[2,3] -> float32[2,3]", flops=6, elementwise={"add": 6},
             bytes_read=48, bytes_written=24),
        # a column and a row make six sums
        Case("float32[2,1], float32[1,3] -> float32[2,3]", flops=6, bytes_read=8 + 12, bytes_written=24),
        Case("float16[N,8], float16[8] -> float16[N,8]", flops="8*N", bytes_read="16*N + 16", bytes_written="16*N"),
    )
