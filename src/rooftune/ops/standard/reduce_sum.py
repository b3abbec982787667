"""ReduceSum: the sum over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceSum")
class ReduceSum:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work()  # no axes to sum over: a copy
        return Work(elementwise={"add": data.elements})

    cases = (
        Case("float32[2,3,4], int64[1] -> float32[2,1,4]", flops=24, elementwise={"add": 24},
             bytes_read=96 + 8, bytes_written=32),
        # the axes as an attribute, before opset 13
        Case("float32[N,8] -> float32[N]", {"axes": [1], "keepdims": 0}, flops="8*N",
             bytes_read="32*N", bytes_written="4*N"),
        # a sum over nothing is zero, and is written
        Case("float32[2,0,4], int64[1] -> float32[2,1,4]", flops=0, bytes_read=8, bytes_written=32),
        Case("float32[2,3] -> float32[2,3]", {"noop_with_empty_axes": 1}, flops=0, bytes_read=24, bytes_written=24),
    )
