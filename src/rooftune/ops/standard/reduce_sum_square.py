"""ReduceSumSquare: the sum of squares over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceSumSquare")
class ReduceSumSquare:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        n = data.elements
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work(elementwise={"mul": n})  # no axes to sum over: the squares themselves
        return Work(elementwise={"mul": n, "add": n})

    cases = (
        Case("float32[2,5], int64[1] -> float32[2,1]", flops=20, elementwise={"mul": 10, "add": 10},
             bytes_read=40 + 8, bytes_written=8),
        Case("float32[N,3] -> float32[N]", {"axes": [1], "keepdims": 0}, flops="6*N",
             bytes_read="12*N", bytes_written="4*N"),
        Case("float32[7] -> float32[7]", {"noop_with_empty_axes": 1}, flops=7, elementwise={"mul": 7},
             bytes_read=28, bytes_written=28),
    )
