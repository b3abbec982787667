"""ReduceLogSum: the logarithm of the sum over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceLogSum")
class ReduceLogSum:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        n = data.elements
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work(elementwise={"log": n})  # no axes to sum over: the logarithms themselves
        return Work(elementwise={"add": n, "log": reduced.elements})

    cases = (
        Case("float32[2,6], int64[1] -> float32[2,1]", flops=12 + 2, elementwise={"add": 12, "log": 2},
             bytes_read=48 + 8, bytes_written=8),
        Case("float32[N,9] -> float32[N]", {"axes": [1], "keepdims": 0}, flops="10*N",
             bytes_read="36*N", bytes_written="4*N"),
        Case("float32[3], int64[0] -> float32[3]", {"noop_with_empty_axes": 1}, flops=3, elementwise={"log": 3},
             bytes_read=12, bytes_written=12),
    )
