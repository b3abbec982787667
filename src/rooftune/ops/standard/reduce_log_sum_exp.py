"""ReduceLogSumExp: the logarithm of the sum of exponentials over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceLogSumExp")
class ReduceLogSumExp:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        n = data.elements
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work(elementwise={"exp": n, "log": n})  # no axes to sum over: out and back again
        # max + log Σ exp(x − max): max, subtract, exp, sum for every element; log and add for every result
        results = reduced.elements
        return Work(elementwise={"compare": n, "add": 2 * n + results, "exp": n, "log": results})

    cases = (
        Case("float32[2,3], int64[1] -> float32[2,1]", flops=24 + 4,
             elementwise={"compare": 6, "add": 14, "exp": 6, "log": 2}, bytes_read=24 + 8, bytes_written=8),
        Case("float64[N,4] -> float64[N]", {"axes": [1], "keepdims": 0}, flops="18*N", bytes_read="32*N",
             bytes_written="8*N"),
        Case("float32[5] -> float32[5]", {"noop_with_empty_axes": 1}, flops=10, elementwise={"exp": 5, "log": 5},
             bytes_read=20, bytes_written=20),
    )
