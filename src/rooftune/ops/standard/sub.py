"""Sub: the difference of two tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sub")
class Sub:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"add": c.elements})

    cases = (
        Case("float32[3,2], float32[3,2] -> float32[3,2]", flops=6, elementwise={"add": 6},
             bytes_read=48, bytes_written=24),
        Case("int64[], int64[4] -> int64[4]", flops=4, bytes_read=8 + 32, bytes_written=32),
        Case("float32[N,1], float32[1,M] -> float32[N,M]", flops="N*M", bytes_read="4*N + 4*M", bytes_written="4*N*M"),
    )
