"""ConvTransposeWithDynamicPads: ConvTranspose whose pads are an input.

Which taps fall on the cropped border is data: all of them count as executed.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("ConvTransposeWithDynamicPads", domain="com.microsoft")
class ConvTransposeWithDynamicPads:
    def work(
        self,
        x: TensorType,
        w: TensorType,
        pads: TensorType,
        b: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        # every input element is multiplied into (Cout / groups) · kernel outputs
        macs = x.elements * product(w.shape[1:])
        return Work(macs=macs, elementwise={} if b is None else {"add": y.elements})

    cases = (
        # 9 inputs × 2·3·3 taps
        Case("float32[1,1,3,3], float32[1,2,3,3], int64[4] -> float32[1,2,5,5]", macs=162, flops=324,
             bytes_read=36 + 72 + 32, bytes_written=200),
        # 4 channels of 2×2, stride 2, cropped by one; a bias on 1·3·3·3 outputs
        Case("float32[1,4,2,2], float32[4,3,3,3], int64[4], float32[3] -> float32[1,3,3,3]", {"strides": [2, 2]},
             macs=432, flops=864 + 27, bytes_read=64 + 432 + 32 + 12, bytes_written=108),
    )
