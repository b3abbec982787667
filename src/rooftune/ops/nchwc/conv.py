"""Conv in blocked layout: with a tensor to add and an activation, like FusedConv.

Channels are padded to the block, except those of an image that enters as N, C, H, W.
"""

from rooftune.ops.case import Case
from rooftune.ops.microsoft.fused_conv import FusedConv
from rooftune.ops.operator import operator


@operator("Conv", domain="com.microsoft.nchwc")
class Conv(FusedConv):
    cases = (
        # the first layer: 3 plain channels in, 8 filters in one block; 8·4 outputs × 27 taps, Relu
        Case("float32[1,3,4,4], float32[8,3,3,3], float32[8] -> float32[1,8,2,2]", {"activation": "Relu"},
             macs=864, padding_macs=0, flops=1728 + 64, bytes_read=192 + 864 + 32, bytes_written=128),
        # a residual: 16·4 outputs × 16 channels, bias and sum added, Relu
        Case("float32[1,16,2,2], float32[16,16,1,1], float32[16], float32[1,16,2,2] -> float32[1,16,2,2]",
             {"activation": "Relu"}, macs=1024, flops=2048 + 3 * 64, bytes_read=256 + 1024 + 64 + 256,
             bytes_written=256),
        # depthwise: 8·4 outputs × 9 taps; padding 1 on a 2×2 map leaves 16 of 36 taps inside
        Case("float32[1,8,2,2], float32[8,1,3,3] -> float32[1,8,2,2]", {"pads": [1, 1, 1, 1], "group": 8},
             macs=288, padding_macs=160, flops=576, bytes_read=128 + 288, bytes_written=128),
    )
