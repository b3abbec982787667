"""TransposeMatMul: the former name of FusedMatMul."""

from rooftune.ops.case import Case
from rooftune.ops.microsoft.fused_mat_mul import FusedMatMul
from rooftune.ops.operator import operator


@operator("TransposeMatMul", domain="com.microsoft")
class TransposeMatMul(FusedMatMul):
    cases = (
        Case("float32[3,4], float32[5,4] -> float32[3,5]", {"transB": 1}, macs=60, flops=120,
             bytes_read=48 + 80, bytes_written=60),
        Case("float32[2,4,3], float32[4,5] -> float32[2,3,5]", {"transA": 1, "alpha": 2.0}, macs=120, flops=270,
             elementwise={"mul": 30}, bytes_read=96 + 80, bytes_written=120),
    )
