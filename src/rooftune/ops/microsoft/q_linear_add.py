"""QLinearAdd: the sum of two quantised tensors, quantised."""

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("QLinearAdd", domain="com.microsoft")
class QLinearAdd:
    def work(
        self,
        a: TensorType,
        a_scale: TensorType,
        a_zero_point: TensorType | None,
        b: TensorType,
        b_scale: TensorType,
        b_zero_point: TensorType | None,
        c_scale: TensorType,
        c_zero_point: TensorType | None = None,
        *,
        c: TensorType,
    ) -> Work:
        operands = [(a, a_zero_point is not None), (b, b_zero_point is not None)]
        return Work(elementwise=quantised(operands, {"add": c.elements}, c, c_zero_point is not None))

    cases = (
        # six elements: two operands to real numbers (convert, shift, scale); the sum; then divide, round, shift,
        # two bounds, convert
        Case("uint8[2,3], float32[], uint8[], uint8[2,3], float32[], uint8[], float32[], uint8[] -> uint8[2,3]",
             flops=36 + 6 + 36,
             elementwise={"convert": 12 + 6, "add": 12 + 6 + 6, "mul": 12, "div": 6, "round": 6, "compare": 12},
             bytes_read=6 + 5 + 6 + 5 + 5, bytes_written=6),
        # symmetric, with a vector on the right
        Case("int8[N,4], float32[], -, int8[4], float32[], -, float32[], - -> int8[N,4]", flops="32*N + 8",
             bytes_read="4*N + 16", bytes_written="4*N"),
    )
