"""QuantizeLinear: real numbers to a narrow format, for types ONNX had not yet."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.quantize_linear import QuantizeLinear as StandardQuantizeLinear


@operator("QuantizeLinear", domain="com.microsoft")
class QuantizeLinear(StandardQuantizeLinear):
    cases = (
        # divide, round, shift, two bounds, convert
        Case("float32[2,3], float32[], uint16[] -> uint16[2,3]", flops=36, bytes_read=24 + 4 + 2, bytes_written=12),
        Case("float16[N,4], float16[4], int8[4] -> int8[N,4]", {"axis": 1}, flops="24*N", bytes_read="8*N + 8 + 4",
             bytes_written="4*N"),
    )
