"""QLinearWhere: one of two quantised tensors by a condition, brought to one scale."""

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("QLinearWhere", domain="com.microsoft")
class QLinearWhere:
    def work(
        self,
        condition: TensorType,
        x: TensorType,
        x_scale: TensorType,
        x_zero_point: TensorType | None,
        y: TensorType,
        y_scale: TensorType,
        y_zero_point: TensorType | None,
        z_scale: TensorType,
        z_zero_point: TensorType | None = None,
        *,
        z: TensorType,
    ) -> Work:
        operands = [(x, x_zero_point is not None), (y, y_zero_point is not None)]
        chosen = {"compare": z.elements}
        return Work(elementwise=quantised(operands, chosen, z, z_zero_point is not None), format=z.dtype)

    cases = (
        # two operands of six: convert, shift, scale; select; divide, round, shift, two bounds, convert
        Case("bool[2,3], uint8[2,3], float32[], uint8[], uint8[2,3], float32[], uint8[], float32[], uint8[] "
             "-> uint8[2,3]", flops=36 + 6 + 36, bytes_read=6 + 11 + 11 + 5, bytes_written=6),
        # a scalar alternative
        Case("bool[N], int8[N], float32[], int8[], int8[], float32[], int8[], float32[], int8[] -> int8[N]",
             flops="3*N + 3 + N + 6*N", bytes_read="2*N + 5 + 6 + 5", bytes_written="N"),
    )
