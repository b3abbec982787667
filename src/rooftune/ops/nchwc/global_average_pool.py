"""GlobalAveragePool in blocked layout, padded channels included."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.global_average_pool import GlobalAveragePool as StandardGlobalAveragePool


@operator("GlobalAveragePool", domain="com.microsoft.nchwc")
class GlobalAveragePool(StandardGlobalAveragePool):
    cases = (
        Case("float32[1,8,3,3] -> float32[1,8,1,1]", flops=80, elementwise={"add": 72, "div": 8},
             bytes_read=288, bytes_written=32),
        Case("float32[N,16,7,7] -> float32[N,16,1,1]", flops="784*N + 16*N", bytes_read="3136*N", bytes_written="64*N"),
    )
