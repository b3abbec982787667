"""QLinearAveragePool: means of windows of a quantised tensor, quantised."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.standard.average_pool import AveragePool
from rooftune.ops.types import TensorType, Work


@operator("QLinearAveragePool", domain="com.microsoft")
class QLinearAveragePool:
    kernel_shape: Sequence[int]

    def work(
        self,
        x: TensorType,
        x_scale: TensorType,
        x_zero_point: TensorType | None,
        y_scale: TensorType,
        y_zero_point: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        means = AveragePool(kernel_shape=self.kernel_shape).work(x, y=y).elementwise
        return Work(elementwise=quantised([(x, x_zero_point is not None)], means, y, y_zero_point is not None))

    cases = (
        # 16 elements to real numbers, four means of four, four back
        Case("uint8[1,1,4,4], float32[], uint8[], float32[], uint8[] -> uint8[1,1,2,2]",
             {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=48 + 16 + 4 + 24, bytes_read=16 + 5 + 5,
             bytes_written=4),
        # symmetric, channels last: 56 in, 48 means of two out
        Case("int8[N,7,8], float32[], -, float32[], - -> int8[N,6,8]", {"kernel_shape": [2], "channels_last": 1},
             flops="112*N + 96*N + 48*N + 240*N", bytes_read="56*N + 8", bytes_written="48*N"),
    )
