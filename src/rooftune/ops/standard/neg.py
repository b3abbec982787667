"""Neg: the element with its sign turned."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Neg")
class Neg:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"add": x.elements})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=6, elementwise={"add": 6}, bytes_read=24, bytes_written=24),
        Case("int64[N] -> int64[N]", flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
