"""NhwcMaxPool: MaxPool with the channels as the last axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.max_pool import MaxPool


@operator("NhwcMaxPool", domain="com.microsoft")
class NhwcMaxPool(MaxPool):
    cases = (
        # four windows of four
        Case("uint8[1,4,4,1] -> uint8[1,2,2,1]", {"kernel_shape": [2, 2], "strides": [2, 2]}, flops=16,
             elementwise={"compare": 16}, bytes_read=16, bytes_written=4),
        # padding counts: nine windows of nine on eight channels
        Case("int8[N,3,3,8] -> int8[N,3,3,8]", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, flops="648*N",
             bytes_read="72*N", bytes_written="72*N"),
    )
