"""Conv: a window of weights slid over the spatial axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import resolve_pads, taps_inside
from rooftune.quantities import Count, product


@operator("Conv")
class Conv:
    auto_pad: str = "NOTSET"
    dilations: Sequence[int] = ()
    group: int = 1
    kernel_shape: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

    def work(self, x: TensorType, w: TensorType, b: TensorType | None = None, *, y: TensorType) -> Work:
        # every output element sums (Cin / groups) · kernel taps: the weights hold just that many per channel
        taps_per_output = product(w.shape[1:])
        macs = y.elements * taps_per_output
        elementwise: dict[str, Count] = {} if b is None else {"add": y.elements}
        return Work(macs=macs, padding_macs=macs - self._executed(x, w, y, macs), elementwise=elementwise)

    def _executed(self, x: TensorType, w: TensorType, y: TensorType, macs: Count) -> Count:
        """MACs that meet real input; the taps of each axis multiply because the window is a box."""
        kernel = w.shape[2:]
        strides = self.strides or [1] * len(kernel)
        dilations = self.dilations or [1] * len(kernel)
        before = resolve_pads(self.auto_pad, self.pads, x.shape[2:], y.shape[2:], kernel, strides, dilations)
        per_axis = [taps_inside(*axis) for axis in zip(x.shape[2:], y.shape[2:], kernel, strides, dilations, before)]
        if any(taps is None for taps in per_axis):
            return macs
        return product([y.shape[0], y.shape[1], w.shape[1], *per_axis])

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
        Case("float32[N,3,8,8], float32[4,3,3,3] -> float32[N,4,6,6]", macs="3888*N", flops="7776*N",
             bytes_read="768*N + 432", bytes_written="576*N"),
    )
