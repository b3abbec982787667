"""DequantizeLinear: a narrow format to real numbers, for types ONNX had not yet."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.dequantize_linear import DequantizeLinear as StandardDequantizeLinear


@operator("DequantizeLinear", domain="com.microsoft")
class DequantizeLinear(StandardDequantizeLinear):
    cases = (
        # shift, convert, scale
        Case("uint16[2,3], float32[], uint16[] -> float32[2,3]", flops=18, bytes_read=12 + 4 + 2, bytes_written=24),
        Case("int32[N,4], float32[4] -> float32[N,4]", {"axis": 1}, flops="8*N", bytes_read="16*N + 16",
             bytes_written="16*N"),
    )
