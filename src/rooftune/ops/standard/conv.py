"""Conv: a window of weights slid over the spatial axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import convolution_macs
from rooftune.quantities import Count


@operator("Conv")
class Conv:
    auto_pad: str = "NOTSET"
    dilations: Sequence[int] = ()
    group: int = 1
    kernel_shape: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

    def work(self, x: TensorType, w: TensorType, b: TensorType | None = None, *, y: TensorType) -> Work:
        # the shape of the weights holds the kernel and the channels of a group
        macs, padding = convolution_macs(
            x, w, y, auto_pad=self.auto_pad, pads=self.pads, strides=self.strides, dilations=self.dilations
        )
        elementwise: dict[str, Count] = {} if b is None else {"add": y.elements}
        return Work(macs=macs, padding_macs=padding, elementwise=elementwise)

    cases = (
        # 1·4·6·6 outputs × 3·3·3 taps
        Case("float32[1,3,8,8], float32[4,3,3,3] -> float32[1,4,6,6]", macs=3888, padding_macs=0, flops=7776,
             bytes_read=768 + 432, bytes_written=576),
        # padding 1 on a 2×2 map: 36 conventional taps, of which 4·4 meet the input
        Case("float32[1,1,2,2], float32[1,1,3,3], float32[1] -> float32[1,1,2,2]", {"pads": [1, 1, 1, 1]},
             macs=36, padding_macs=20, flops=76, elementwise={"add": 4}, bytes_read=16 + 36 + 4, bytes_written=16),
        # depthwise: one input channel per output channel
        Case("float32[1,8,4,4], float32[8,1,3,3] -> float32[1,8,2,2]", {"group": 8}, macs=8 * 4 * 9, flops=576,
             bytes_read=512 + 288, bytes_written=128),
        # windows at 0 and 2 of a row of 4: the last tap of the second is the one padded element behind
        Case("float32[1,1,4], float32[1,1,3] -> float32[1,1,2]", {"auto_pad": "SAME_UPPER", "strides": [2]},
             macs=6, padding_macs=1, flops=12, bytes_read=16 + 12, bytes_written=8),
        # taps {0,2} {1,3} {2,4} {3,5} of a row of 4 padded by two behind: 4 and 5 are padding
        Case("float32[1,1,4], float32[1,1,2] -> float32[1,1,4]", {"dilations": [2], "pads": [0, 2]},
             macs=8, padding_macs=2, flops=16, bytes_read=16 + 8, bytes_written=16),
        Case("float32[N,3,8,8], float32[4,3,3,3] -> float32[N,4,6,6]", macs="3888*N", flops="7776*N",
             bytes_read="768*N + 432", bytes_written="576*N"),
        # an open row of H: the middle tap meets H elements, the outer ones H − 1
        Case("float32[1,1,H], float32[1,1,3] -> float32[1,1,H]", {"pads": [1, 1]}, macs="3*H", flops="6*H",
             padding_macs="2*H - 2*Max(0, H - 1)", bytes_read="4*H + 12", bytes_written="4*H"),
    )
