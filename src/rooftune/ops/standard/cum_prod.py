"""CumProd: running products along one axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("CumProd", since=26)
class CumProd:
    def work(self, x: TensorType, axis: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"mul": x.elements})

    cases = (
        Case("float32[4,2], int32[] -> float32[4,2]", flops=8, elementwise={"mul": 8},
             bytes_read=32 + 4, bytes_written=32),
        Case("float64[N,3], int64[] -> float64[N,3]", {"reverse": 1}, flops="3*N", bytes_read="24*N + 8",
             bytes_written="24*N"),
    )
