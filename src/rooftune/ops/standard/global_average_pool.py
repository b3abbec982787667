"""GlobalAveragePool: the mean of every channel."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("GlobalAveragePool")
class GlobalAveragePool:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"add": x.elements, "div": y.elements})

    cases = (
        Case("float32[1,2,3,3] -> float32[1,2,1,1]", flops=20, elementwise={"add": 18, "div": 2},
             bytes_read=72, bytes_written=8),
        Case("float16[N,8,7,7] -> float16[N,8,1,1]", flops="392*N + 8*N", bytes_read="784*N", bytes_written="16*N"),
    )
