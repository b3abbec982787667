"""GlobalMaxPool in blocked layout, padded channels included."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.global_max_pool import GlobalMaxPool as StandardGlobalMaxPool


@operator("GlobalMaxPool", domain="com.microsoft.nchwc")
class GlobalMaxPool(StandardGlobalMaxPool):
    cases = (
        Case("float32[1,8,3,3] -> float32[1,8,1,1]", flops=72, elementwise={"compare": 72},
             bytes_read=288, bytes_written=32),
        Case("float32[N,16,7,7] -> float32[N,16,1,1]", flops="784*N", bytes_read="3136*N", bytes_written="64*N"),
    )
