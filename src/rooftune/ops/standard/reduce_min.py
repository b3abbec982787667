"""ReduceMin: the smallest element over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceMin")
class ReduceMin:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work()  # no axes to search: a copy
        return Work(elementwise={"compare": data.elements})

    cases = (
        Case("float32[3,5], int64[1] -> float32[3,1]", flops=15, elementwise={"compare": 15},
             bytes_read=60 + 8, bytes_written=12),
        Case("uint8[N,4] -> uint8[N]", {"axes": [1], "keepdims": 0}, flops="4*N", bytes_read="4*N", bytes_written="N"),
        Case("int32[6], int64[0] -> int32[6]", {"noop_with_empty_axes": 1}, flops=0, bytes_read=24, bytes_written=24),
    )
