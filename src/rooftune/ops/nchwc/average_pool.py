"""AveragePool in blocked layout, padded channels included."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.average_pool import AveragePool as StandardAveragePool


@operator("AveragePool", domain="com.microsoft.nchwc")
class AveragePool(StandardAveragePool):
    cases = (
        # 8 channels in one block: four means of four each
        Case("float32[1,8,4,4] -> float32[1,8,2,2]", {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=160,
             elementwise={"add": 128, "div": 32}, bytes_read=512, bytes_written=128),
        # padding counts: nine windows of nine
        Case("float32[1,16,3,3] -> float32[1,16,3,3]", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
             flops=1296 + 144, bytes_read=576, bytes_written=576),
        Case("float32[N,8,4,4] -> float32[N,8,1,1]", {"kernel_shape": [4, 4]}, flops="128*N + 8*N",
             bytes_read="512*N", bytes_written="32*N"),
    )
