"""Sum: any number of tensors added up, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sum")
class Sum:
    def work(self, first: TensorType, *others: TensorType, y: TensorType) -> Work:
        return Work(elementwise={"add": len(others) * y.elements})

    cases = (
        Case("float32[2,2], float32[2,2], float32[2,2] -> float32[2,2]", flops=8, elementwise={"add": 8},
             bytes_read=48, bytes_written=16),
        Case("float32[N,3], float32[1,3], float32[] -> float32[N,3]", flops="6*N", bytes_read="12*N + 16",
             bytes_written="12*N"),
    )
