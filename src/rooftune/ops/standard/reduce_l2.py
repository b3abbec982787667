"""ReduceL2: the Euclidean length over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceL2")
class ReduceL2:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        n = data.elements
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work(elementwise={"mul": n, "sqrt": n})  # no axes to sum over: the root of each square
        # square, add up, one root for every length
        return Work(elementwise={"mul": n, "add": n, "sqrt": reduced.elements})

    cases = (
        Case("float32[3,4], int64[1] -> float32[3,1]", flops=12 + 12 + 3, elementwise={"mul": 12, "add": 12, "sqrt": 3},
             bytes_read=48 + 8, bytes_written=12),
        Case("float16[N,64] -> float16[N,1]", {"axes": [-1]}, flops="129*N", bytes_read="128*N", bytes_written="2*N"),
        Case("float32[5] -> float32[5]", {"noop_with_empty_axes": 1}, flops=10, elementwise={"mul": 5, "sqrt": 5},
             bytes_read=20, bytes_written=20),
    )
