"""MaxPool: the largest element of a window slid over the spatial axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import window_taps


@operator("MaxPool")
class MaxPool:
    kernel_shape: Sequence[int]

    def work(self, x: TensorType, *, y: TensorType, indices: TensorType | None = None) -> Work:
        # every tap of the window is compared with the largest so far, those on padding too
        return Work(elementwise={"compare": y.elements * window_taps(self.kernel_shape)})

    cases = (
        Case("float32[1,1,4,4] -> float32[1,1,2,2]", {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=16,
             elementwise={"compare": 16}, bytes_read=64, bytes_written=16),
        # the stem of a ResNet, with the places of the maxima as a second output
        Case("float32[1,64,112,112] -> float32[1,64,56,56], int64[1,64,56,56]",
             {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, flops=200_704 * 9,
             bytes_read=802_816 * 4, bytes_written=200_704 * 12),
        Case("uint8[N,2,6] -> uint8[N,2,3]", {"kernel_shape": [2], "strides": [2]}, flops="12*N",
             bytes_read="12*N", bytes_written="6*N"),
    )
