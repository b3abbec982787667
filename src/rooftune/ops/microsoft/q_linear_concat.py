"""QLinearConcat: quantised tensors side by side, brought to one scale."""

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("QLinearConcat", domain="com.microsoft")
class QLinearConcat:
    def work(
        self, y_scale: TensorType, y_zero_point: TensorType | None, *parts: TensorType | None, y: TensorType
    ) -> Work:
        # the tail repeats: tensor, scale, zero point
        operands = [(x, zero is not None) for x, zero in zip(parts[0::3], parts[2::3], strict=True) if x is not None]
        return Work(elementwise=quantised(operands, {}, y, y_zero_point is not None), format=y.dtype)

    cases = (
        # eight elements: convert, shift, scale; divide, round, shift, two bounds, convert
        Case("float32[], uint8[], uint8[2,3], float32[], uint8[], uint8[2,1], float32[], uint8[] -> uint8[2,4]",
             {"axis": 1}, flops=24 + 48, bytes_read=5 + 11 + 7, bytes_written=8),
        Case("float32[], int8[], int8[N,3], float32[], int8[], int8[N,5], float32[], int8[] -> int8[N,8]",
             {"axis": 1}, flops="72*N", bytes_read="8*N + 15", bytes_written="8*N"),
    )
