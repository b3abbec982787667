"""GreaterOrEqual: true where the first element is not the smaller one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("GreaterOrEqual", since=12)
class GreaterOrEqual:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"compare": c.elements})

    cases = (
        Case("float32[2,2], float32[2,2] -> bool[2,2]", flops=4, elementwise={"compare": 4},
             bytes_read=32, bytes_written=4),
        Case("int32[3,1], int32[1,5] -> bool[3,5]", flops=15, bytes_read=12 + 20, bytes_written=15),
    )
