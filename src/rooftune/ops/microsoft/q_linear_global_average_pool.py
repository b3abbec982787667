"""QLinearGlobalAveragePool: means of the channels of a quantised tensor, quantised."""

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.standard.global_average_pool import GlobalAveragePool
from rooftune.ops.types import TensorType, Work


@operator("QLinearGlobalAveragePool", domain="com.microsoft")
class QLinearGlobalAveragePool:
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
        means = GlobalAveragePool().work(x, y=y).elementwise
        return Work(elementwise=quantised([(x, x_zero_point is not None)], means, y, y_zero_point is not None))

    cases = (
        # 18 elements to real numbers, two means of nine, two back
        Case("uint8[1,2,3,3], float32[], uint8[], float32[], uint8[] -> uint8[1,2,1,1]", flops=54 + 18 + 2 + 12,
             bytes_read=18 + 5 + 5, bytes_written=2),
        # symmetric, channels last
        Case("int8[N,5,5,4], float32[], -, float32[], - -> int8[N,1,1,4]", {"channels_last": 1},
             flops="200*N + 100*N + 4*N + 20*N", bytes_read="100*N + 8", bytes_written="4*N"),
    )
