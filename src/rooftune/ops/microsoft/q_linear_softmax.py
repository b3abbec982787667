"""QLinearSoftmax: Softmax of a quantised tensor, quantised."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("QLinearSoftmax", domain="com.microsoft")
class QLinearSoftmax:
    def work(
        self,
        x: TensorType,
        x_scale: TensorType,
        x_zero_point: TensorType | None,
        y_scale: TensorType,
        y_zero_point: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        arithmetic = activation("Softmax", x)
        return Work(elementwise=quantised([(x, x_zero_point is not None)], arithmetic, y, y_zero_point is not None))

    cases = (
        # six elements: convert, shift, scale; max, subtract, exp, sum, divide;
        # then divide, round, shift, two bounds, convert
        Case("uint8[2,3], float32[], uint8[], float32[], uint8[] -> uint8[2,3]", {"opset": 13},
             flops=18 + 30 + 36, bytes_read=6 + 5 + 5, bytes_written=6),
        Case("int8[N,4], float32[], -, float32[], - -> int8[N,4]", flops="48*N", bytes_read="4*N + 8",
             bytes_written="4*N"),
    )
