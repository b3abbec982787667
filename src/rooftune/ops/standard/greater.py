"""Greater: true where the first element is the larger one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Greater")
class Greater:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"compare": c.elements})

    cases = (
        Case("float32[4], float32[4] -> bool[4]", flops=4, elementwise={"compare": 4}, bytes_read=32, bytes_written=4),
        Case("float16[N,3], float16[] -> bool[N,3]", flops="3*N", bytes_read="6*N + 2", bytes_written="3*N"),
    )
