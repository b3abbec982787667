"""ArgMax: where along one axis the largest element lies."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ArgMax")
class ArgMax:
    def work(self, data: TensorType, *, reduced: TensorType) -> Work:
        return Work(elementwise={"compare": data.elements})

    cases = (
        # every element is looked at once, eight positions come out
        Case("float32[2,3,4] -> int64[2,1,4]", {"axis": 1}, flops=24, elementwise={"compare": 24},
             bytes_read=96, bytes_written=64),
        Case("float16[N,1000] -> int64[N]", {"axis": 1, "keepdims": 0}, flops="1000*N", bytes_read="2000*N",
             bytes_written="8*N"),
    )
