"""LpPool: the Lp norm of a window slid over the spatial axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.lp_norm import lp_norm
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import window_taps


@operator("LpPool")
class LpPool:
    kernel_shape: Sequence[int]
    p: float = 2

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # all taps of the window, those on padding too
        return Work(elementwise=lp_norm(y.elements * window_taps(self.kernel_shape), y.elements, self.p))

    cases = (
        # 4 windows of 4 taps: square, add, one root each
        Case("float32[1,1,3,3] -> float32[1,1,2,2]", {"kernel_shape": [2, 2]}, flops=36,
             elementwise={"mul": 16, "add": 16, "sqrt": 4}, bytes_read=36, bytes_written=16),
        Case("float32[N,1,4] -> float32[N,1,2]", {"kernel_shape": [2], "strides": [2], "p": 1}, flops="8*N",
             bytes_read="16*N", bytes_written="8*N"),
        # absolute value, cube and add for 6 taps, two cube roots
        Case("float32[1,1,4] -> float32[1,1,2]", {"kernel_shape": [3], "p": 3}, flops=6 + 6 + 6 + 2,
             elementwise={"compare": 6, "pow": 8, "add": 6}, bytes_read=16, bytes_written=8),
    )
