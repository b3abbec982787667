"""QuantizeLinear: real numbers divided by a scale, rounded, shifted and stored in a narrow format."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.quantisation import quantise
from rooftune.ops.types import TensorType, Work


@operator("QuantizeLinear", since=10)
class QuantizeLinear:
    saturate: int = 1

    def work(
        self, x: TensorType, y_scale: TensorType, y_zero_point: TensorType | None = None, *, y: TensorType
    ) -> Work:
        counts = quantise(
            x.elements, y.dtype, zero_point=y_zero_point is not None, saturate=self.saturate != 0
        )
        # the division is done in the format of the scale
        return Work(elementwise=counts, format=y_scale.dtype)

    cases = (
        Case("float32[2,3], float32[], uint8[] -> uint8[2,3]", flops=36,
             elementwise={"div": 6, "round": 6, "add": 6, "compare": 12, "convert": 6},
             bytes_read=24 + 4 + 1, bytes_written=6),
        # an 8-bit float: divide, hold in range, convert
        Case("float16[N,4], float16[] -> float8e4m3fn[N,4]", flops="16*N", bytes_read="8*N + 2", bytes_written="4*N"),
        # five nibbles take three bytes
        Case("float32[5], float32[], int4[] -> int4[5]", flops=30, bytes_read=20 + 4 + 1, bytes_written=3),
    )
