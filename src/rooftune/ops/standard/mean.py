"""Mean: the average of any number of tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Mean")
class Mean:
    def work(self, first: TensorType, *others: TensorType, y: TensorType) -> Work:
        # add the tensors up, then divide by how many they are
        return Work(elementwise={"add": len(others) * y.elements, "div": y.elements})

    cases = (
        Case("float32[3], float32[3], float32[3] -> float32[3]", flops=9, elementwise={"add": 6, "div": 3},
             bytes_read=36, bytes_written=12),
        Case("float16[N,2], float16[2] -> float16[N,2]", flops="4*N", bytes_read="4*N + 4", bytes_written="4*N"),
    )
