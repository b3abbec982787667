"""NhwcConv: a convolution with the channels as the last axis of data and result."""

from rooftune.ops.case import Case
from rooftune.ops.microsoft.nhwc_fused_conv import NhwcFusedConv
from rooftune.ops.operator import operator


@operator("NhwcConv", domain="com.microsoft")
class NhwcConv(NhwcFusedConv):
    cases = (
        Case("float16[1,8,8,3], float16[4,3,3,3] -> float16[1,6,6,4]", {"kernel_shape": [3, 3]},
             macs=3888, padding_macs=0, flops=7776, bytes_read=384 + 216, bytes_written=288),
        # pointwise over an open batch: 9 pixels · 2 filters · 4 channels, and the bias
        Case("float32[N,3,3,4], float32[2,1,1,4], float32[2] -> float32[N,3,3,2]", {"kernel_shape": [1, 1]},
             macs="72*N", flops="162*N", bytes_read="144*N + 40", bytes_written="72*N"),
    )
