"""Max: the largest element of any number of tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Max")
class Max:
    def work(self, first: TensorType, *others: TensorType, y: TensorType) -> Work:
        return Work(elementwise={"compare": len(others) * y.elements})

    cases = (
        Case("float32[3], float32[3], float32[3] -> float32[3]", flops=6, elementwise={"compare": 6},
             bytes_read=36, bytes_written=12),
        Case("int32[N,1], int32[4] -> int32[N,4]", flops="4*N", bytes_read="4*N + 16", bytes_written="16*N"),
        # a single tensor is copied
        Case("float32[5] -> float32[5]", flops=0, bytes_read=20, bytes_written=20),
    )
