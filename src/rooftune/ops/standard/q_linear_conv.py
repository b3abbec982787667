"""QLinearConv: a convolution of 8-bit integers, brought back to 8 bits by scale and zero point."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.quantisation import requantise
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import convolution_macs


@operator("QLinearConv", since=10)
class QLinearConv:
    auto_pad: str = "NOTSET"
    dilations: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

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
        macs, padding = convolution_macs(
            x, w, y, auto_pad=self.auto_pad, pads=self.pads, strides=self.strides, dilations=self.dilations
        )
        elementwise = tally(
            {"add": x.elements + w.elements},  # zero points taken off every element once
            {"add": 0 if b is None else y.elements},
            requantise(y.elements, w_scale.elements, y.dtype),
        )
        return Work(macs=macs, padding_macs=padding, elementwise=elementwise, format=x.dtype)

    cases = (
        # 9 + 4 zero points and 4 biases; 4 sums converted, multiplied, rounded, shifted, clamped twice, converted
        Case("uint8[1,1,3,3], float32[], uint8[], uint8[1,1,2,2], float32[], uint8[], float32[], uint8[], int32[1] "
             "-> uint8[1,1,2,2]", macs=16, padding_macs=0, flops=32 + 47,
             elementwise={"add": 13 + 4 + 4, "mul": 4 + 1, "div": 1, "round": 4, "compare": 8, "convert": 8},
             bytes_read=9 + 5 + 4 + 5 + 5 + 4, bytes_written=4),
        # two output channels with a scale of their own
        Case("uint8[N,1,2,2], float32[], uint8[], int8[2,1,1,1], float32[2], int8[2], float32[], uint8[] "
             "-> uint8[N,2,2,2]", macs="8*N", flops="16*N + 4*N + 2 + 56*N + 2 + 2",
             bytes_read="4*N + 5 + 2 + 8 + 2 + 5", bytes_written="8*N"),
        # padding 1 on a 2×2 map: 36 taps, 16 inside
        Case("int8[1,1,2,2], float32[], int8[], int8[1,1,3,3], float32[], int8[], float32[], int8[] -> int8[1,1,2,2]",
             {"pads": [1, 1, 1, 1]}, macs=36, padding_macs=20, flops=72 + 13 + 28 + 2,
             bytes_read=4 + 5 + 9 + 5 + 5, bytes_written=4),
    )
