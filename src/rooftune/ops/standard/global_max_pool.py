"""GlobalMaxPool: the largest element of every channel."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("GlobalMaxPool")
class GlobalMaxPool:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        Case("float32[1,2,3,3] -> float32[1,2,1,1]", flops=18, elementwise={"compare": 18},
             bytes_read=72, bytes_written=8),
        Case("float16[N,8,H,5] -> float16[N,8,1,1]", flops="40*N*H", bytes_read="80*N*H", bytes_written="16*N"),
    )
