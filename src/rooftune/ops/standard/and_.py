"""And: true where both operands are true."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("And")
class And:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("bool[3,4], bool[3,4] -> bool[3,4]", flops=12, elementwise={"logic": 12}, bytes_read=24, bytes_written=12),
        Case("bool[N,1,5], bool[3,1] -> bool[N,3,5]", flops="15*N", bytes_read="5*N + 3", bytes_written="15*N"),
    )
