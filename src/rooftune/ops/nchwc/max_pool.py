"""MaxPool in blocked layout, padded channels included."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.max_pool import MaxPool as StandardMaxPool


@operator("MaxPool", domain="com.microsoft.nchwc")
class MaxPool(StandardMaxPool):
    cases = (
        # 8 channels in one block, four windows of four each
        Case("float32[1,8,4,4] -> float32[1,8,2,2]", {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=128,
             elementwise={"compare": 128}, bytes_read=512, bytes_written=128),
        # padding counts: nine windows of nine
        Case("float32[1,16,3,3] -> float32[1,16,3,3]", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, flops=1296,
             bytes_read=576, bytes_written=576),
        Case("float32[N,8,4,4] -> float32[N,8,3,3]", {"kernel_shape": [2, 2]}, flops="288*N",
             bytes_read="512*N", bytes_written="288*N"),
    )
