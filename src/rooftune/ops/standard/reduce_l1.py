"""ReduceL1: the sum of magnitudes over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceL1")
class ReduceL1:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        n = data.elements
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work(elementwise={"compare": n})  # no axes to sum over: the magnitudes themselves
        return Work(elementwise={"compare": n, "add": n})

    cases = (
        Case("float32[3,4], int64[1] -> float32[3,1]", flops=24, elementwise={"compare": 12, "add": 12},
             bytes_read=48 + 8, bytes_written=12),
        Case("float64[N,2] -> float64[N]", {"axes": [1], "keepdims": 0}, flops="4*N",
             bytes_read="16*N", bytes_written="8*N"),
        Case("float32[5], int64[0] -> float32[5]", {"noop_with_empty_axes": 1}, flops=5, elementwise={"compare": 5},
             bytes_read=20, bytes_written=20),
    )
