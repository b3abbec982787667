"""ReduceMax: the largest element over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceMax")
class ReduceMax:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work()  # no axes to search: a copy
        return Work(elementwise={"compare": data.elements})

    cases = (
        Case("float32[2,3,4], int64[2] -> float32[2,1,1]", flops=24, elementwise={"compare": 24},
             bytes_read=96 + 16, bytes_written=8),
        # no axes: one result for the whole tensor
        Case("int8[N,5] -> int8[1,1]", flops="5*N", bytes_read="5*N", bytes_written=1),
        Case("float32[2,2] -> float32[2,2]", {"noop_with_empty_axes": 1}, flops=0, bytes_read=16, bytes_written=16),
    )
