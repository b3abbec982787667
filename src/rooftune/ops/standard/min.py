"""Min: the smallest element of any number of tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Min")
class Min:
    def work(self, first: TensorType, *others: TensorType, y: TensorType) -> Work:
        return Work(elementwise={"compare": len(others) * y.elements})

    cases = (
        Case("float32[4], float32[4], float32[4] -> float32[4]", flops=8, elementwise={"compare": 8},
             bytes_read=48, bytes_written=16),
        Case("float16[N,6], float16[] -> float16[N,6]", flops="6*N", bytes_read="12*N + 2", bytes_written="12*N"),
        # a single tensor is copied
        Case("int8[2,2] -> int8[2,2]", flops=0, bytes_read=4, bytes_written=4),
    )
