"""CumSum: running totals along one axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("CumSum", since=11)
class CumSum:
    def work(self, x: TensorType, axis: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"add": x.elements})

    cases = (
        Case("float32[2,3], int32[] -> float32[2,3]", flops=6, elementwise={"add": 6},
             bytes_read=24 + 4, bytes_written=24),
        Case("int64[N,S], int64[1] -> int64[N,S]", {"exclusive": 1}, flops="N*S", bytes_read="8*N*S + 8",
             bytes_written="8*N*S"),
    )
