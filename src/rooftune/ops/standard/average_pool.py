"""AveragePool: the mean of a window slid over the spatial axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import window_taps


@operator("AveragePool")
class AveragePool:
    kernel_shape: Sequence[int]

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # add all taps of the window, those on padding too, then divide once
        return Work(elementwise={"add": y.elements * window_taps(self.kernel_shape), "div": y.elements})

    cases = (
        Case("float32[1,1,4,4] -> float32[1,1,2,2]", {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=20,
             elementwise={"add": 16, "div": 4}, bytes_read=64, bytes_written=16),
        # 9 outputs × 9 taps, whatever falls on padding
        Case("float32[1,1,3,3] -> float32[1,1,3,3]", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, flops=81 + 9,
             bytes_read=36, bytes_written=36),
        Case("float16[N,8,7] -> float16[N,8,6]", {"kernel_shape": [2]}, flops="48*N*2 + 48*N",
             bytes_read="112*N", bytes_written="96*N"),
    )
