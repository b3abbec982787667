"""ArgMin: where along one axis the smallest element lies."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ArgMin")
class ArgMin:
    def work(self, data: TensorType, *, reduced: TensorType) -> Work:
        return Work(elementwise={"compare": data.elements})

    cases = (
        # every element is looked at once, three positions come out
        Case("float32[5,3] -> int64[1,3]", flops=15, elementwise={"compare": 15}, bytes_read=60, bytes_written=24),
        Case("int8[N,6] -> int64[N,1]", {"axis": -1}, flops="6*N", bytes_read="6*N", bytes_written="8*N"),
    )
