"""MaxpoolWithMask: the largest element of each window among those that a mask lets through."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import window_taps


@operator("MaxpoolWithMask", domain="com.microsoft")
class MaxpoolWithMask:
    kernel_shape: Sequence[int]

    def work(self, x: TensorType, m: TensorType, *, y: TensorType) -> Work:
        # per tap the mask is tested and the element compared
        return Work(elementwise={"compare": 2 * y.elements * window_taps(self.kernel_shape)})

    cases = (
        Case("float32[1,1,4,4], int32[1,1,4,4] -> float32[1,1,2,2]", {"kernel_shape": [2, 2], "strides": [2, 2]},
             flops=32, elementwise={"compare": 32}, bytes_read=64 + 64, bytes_written=16),
        Case("float32[N,2,6], int32[1,2,6] -> float32[N,2,3]", {"kernel_shape": [2], "strides": [2]}, flops="24*N",
             bytes_read="48*N + 48", bytes_written="24*N"),
    )
