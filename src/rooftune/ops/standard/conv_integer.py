"""ConvInteger: a convolution of 8-bit integers into 32-bit sums."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import convolution_macs
from rooftune.quantities import Count


@operator("ConvInteger", since=10)
class ConvInteger:
    auto_pad: str = "NOTSET"
    dilations: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

    def work(
        self,
        x: TensorType,
        w: TensorType,
        x_zero_point: TensorType | None = None,
        w_zero_point: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        macs, padding = convolution_macs(
            x, w, y, auto_pad=self.auto_pad, pads=self.pads, strides=self.strides, dilations=self.dilations
        )
        # a zero point is taken off every element of its tensor once
        shifted: Count = (0 if x_zero_point is None else x.elements) + (0 if w_zero_point is None else w.elements)
        return Work(macs=macs, padding_macs=padding, elementwise={"add": shifted}, format=x.dtype)

    cases = (
        Case("uint8[1,1,3,3], uint8[1,1,2,2], uint8[] -> int32[1,1,2,2]", macs=16, padding_macs=0, flops=32 + 9,
             elementwise={"add": 9}, bytes_read=9 + 4 + 1, bytes_written=16),
        # padding 1 all round: each of two taps meets 3 of the 4 outputs along an axis
        Case("uint8[1,1,3,3], int8[1,1,2,2] -> int32[1,1,4,4]", {"pads": [1, 1, 1, 1]}, macs=64,
             padding_macs=64 - 6 * 6, flops=128, bytes_read=9 + 4, bytes_written=64),
        Case("int8[N,2,1,1], int8[3,2,1,1], -, int8[3] -> int32[N,3,1,1]", macs="6*N", flops="12*N + 6",
             bytes_read="2*N + 6 + 3", bytes_written="12*N"),
    )
