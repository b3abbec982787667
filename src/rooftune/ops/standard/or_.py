"""Or: true where at least one operand is true."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Or")
class Or:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("bool[2,5], bool[2,5] -> bool[2,5]", flops=10, elementwise={"logic": 10}, bytes_read=20, bytes_written=10),
        Case("bool[N,4], bool[] -> bool[N,4]", flops="4*N", bytes_read="4*N + 1", bytes_written="4*N"),
    )
