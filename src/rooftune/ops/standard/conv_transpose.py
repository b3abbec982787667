"""ConvTranspose: every input element spread over a window of the output."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import transposed_macs
from rooftune.quantities import Count


@operator("ConvTranspose")
class ConvTranspose:
    auto_pad: str = "NOTSET"
    dilations: Sequence[int] = ()
    output_padding: Sequence[int] = ()
    output_shape: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

    def work(self, x: TensorType, w: TensorType, b: TensorType | None = None, *, y: TensorType) -> Work:
        # here pads crop the output: what lands on the cropped border is the part that kernels skip
        macs, padding = transposed_macs(
            x,
            w,
            y,
            auto_pad=self.auto_pad,
            pads=self.pads,
            strides=self.strides,
            dilations=self.dilations,
            output_padding=self.output_padding,
            output_shape=self.output_shape,
        )
        elementwise: dict[str, Count] = {} if b is None else {"add": y.elements}
        return Work(macs=macs, padding_macs=padding, elementwise=elementwise)

    cases = (
        # 9 inputs × 2 channels × 3·3 taps
        Case("float32[1,1,3,3], float32[1,2,3,3] -> float32[1,2,5,5]", macs=162, padding_macs=0, flops=324,
             bytes_read=36 + 72, bytes_written=200),
        # along an axis the inputs land on −1,0,1 and 1,2,3 of an output of 3: four of six stay
        Case("float32[1,1,2,2], float32[1,1,3,3], float32[1] -> float32[1,1,3,3]",
             {"pads": [1, 1, 1, 1], "strides": [2, 2]}, macs=36, padding_macs=36 - 16, flops=72 + 9,
             elementwise={"add": 9}, bytes_read=16 + 36 + 4, bytes_written=36),
        # SAME_UPPER: 2·(3 − 1) + 3 − 6 = 1 to crop, all of it behind: only the last tap of the last input
        Case("float32[1,1,3], float32[1,1,3] -> float32[1,1,6]", {"auto_pad": "SAME_UPPER", "strides": [2]},
             macs=9, padding_macs=1, flops=18, bytes_read=12 + 12, bytes_written=24),
        # two groups: each of 4 input channels reaches 6 / 2 output channels
        Case("float16[N,4,2,2], float16[4,3,2,2] -> float16[N,6,4,4]", {"group": 2, "strides": [2, 2]},
             macs="192*N", padding_macs=0, flops="384*N", bytes_read="32*N + 96", bytes_written="192*N"),
    )
