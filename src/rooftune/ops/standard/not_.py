"""Not: true becomes false, false becomes true."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Not")
class Not:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"logic": x.elements})

    cases = (
        Case("bool[3,4] -> bool[3,4]", flops=12, elementwise={"logic": 12}, bytes_read=12, bytes_written=12),
        Case("bool[N,2] -> bool[N,2]", flops="2*N", bytes_read="2*N", bytes_written="2*N"),
    )
