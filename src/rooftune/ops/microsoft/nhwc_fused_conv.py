"""NhwcFusedConv: FusedConv with the channels as the last axis of data and result."""

from collections.abc import Sequence
from dataclasses import replace

from rooftune.ops.case import Case
from rooftune.ops.channels_last import channels_first
from rooftune.ops.microsoft.fused_conv import FusedConv
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("NhwcFusedConv", domain="com.microsoft")
class NhwcFusedConv(FusedConv):
    group: int = 1
    kernel_shape: Sequence[int] = ()

    def work(
        self,
        x: TensorType,
        w: TensorType,
        b: TensorType | None = None,
        z: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        if len(self.kernel_shape) != x.rank - 2:
            raise ValueError("kernel_shape is missing")
        # seen as N, C, H, W; the filter's axes are in either order, so the window comes from kernel_shape
        filters = TensorType(w.dtype, (w.shape[0], x.shape[-1] // self.group, *self.kernel_shape))
        work = super().work(channels_first(x), filters, b, z, y=channels_first(y))
        return replace(work, reads=tuple(0 if v is None else v.bytes for v in (x, w, b, z)), writes=(y.bytes,))

    cases = (
        # 6·6·4 outputs × 3·3·3 taps, bias, Relu
        Case("float16[1,8,8,3], float16[4,3,3,3], float16[4] -> float16[1,6,6,4]",
             {"kernel_shape": [3, 3], "activation": "Relu"}, macs=3888, padding_macs=0, flops=7776 + 288,
             bytes_read=384 + 216 + 8, bytes_written=288),
        # depthwise with padding 1 on a 2×2 map: per channel 36 taps of which 16 meet the input; a sum is added
        Case("float32[1,2,2,5], float32[5,1,3,3], -, float32[1,2,2,5] -> float32[1,2,2,5]",
             {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": 5}, macs=180, padding_macs=100, flops=360 + 20,
             bytes_read=80 + 180 + 80, bytes_written=80),
    )
