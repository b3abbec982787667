"""QLinearConv: a convolution of 8-bit integers, optionally with the channels as the last axis."""

from rooftune.ops.case import Case
from rooftune.ops.channels_last import channels_first
from rooftune.ops.operator import operator
from rooftune.ops.standard.q_linear_conv import QLinearConv as StandardQLinearConv
from rooftune.ops.types import TensorType, Work


@operator("QLinearConv", domain="com.microsoft")
class QLinearConv(StandardQLinearConv):
    channels_last: int = 0

    def work(
        self,
        x: TensorType,
        x_scale: TensorType,
        x_zero_point: TensorType,
        w: TensorType,
        w_scale: TensorType,
        w_zero_point: TensorType,
        y_scale: TensorType,
        y_zero_point: TensorType,
        b: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        parameters = (x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, b)
        if not self.channels_last:
            return super().work(x, *parameters, y=y)
        # the filters keep the order of ONNX; only data and result have their channels last
        return super().work(channels_first(x), *parameters, y=channels_first(y))

    cases = (
        # 2·2·4 = 16 outputs × 3 channels; 12 + 12 zero points and 16 biases off and on; one factor (product, division);
        # 16 sums multiplied, rounded, shifted, held between two bounds, converted twice
        Case("uint8[1,2,2,3], float32[], uint8[], int8[4,3,1,1], float32[], int8[], float32[], uint8[], int32[4] "
             "-> uint8[1,2,2,4]", {"channels_last": 1, "kernel_shape": [1, 1]}, macs=48, padding_macs=0,
             flops=96 + 24 + 16 + 2 + 16 * 7, bytes_read=12 + 5 + 12 + 5 + 5 + 16, bytes_written=16),
        # depthwise with padding 1 on a 2×2 map of 5 channels: 180 taps, 80 of them inside
        Case("uint8[1,2,2,5], float32[], uint8[], int8[5,1,3,3], float32[], int8[], float32[], uint8[] "
             "-> uint8[1,2,2,5]", {"channels_last": 1, "pads": [1, 1, 1, 1], "group": 5}, macs=180, padding_macs=100,
             flops=360 + 20 + 45 + 2 + 20 * 7, bytes_read=20 + 5 + 45 + 5 + 5, bytes_written=20),
    )
