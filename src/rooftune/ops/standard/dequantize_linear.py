"""DequantizeLinear: narrow numbers without their zero point, times a scale."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("DequantizeLinear", since=10)
class DequantizeLinear:
    def work(
        self, x: TensorType, x_scale: TensorType, x_zero_point: TensorType | None = None, *, y: TensorType
    ) -> Work:
        n = x.elements
        # take off the zero point, widen, multiply in the format of the result
        counts = {"add": 0 if x_zero_point is None else n, "convert": n, "mul": n}
        return Work(elementwise=counts, format=y.dtype)

    cases = (
        Case("uint8[2,3], float32[], uint8[] -> float32[2,3]", flops=18, elementwise={"add": 6, "convert": 6, "mul": 6},
             bytes_read=6 + 4 + 1, bytes_written=24),
        # five nibbles lie in three bytes
        Case("int4[5], float16[] -> float16[5]", flops=10, bytes_read=3 + 2, bytes_written=10),
        # blocks of 32 along the second axis
        Case("int8[N,64], float32[N,2] -> float32[N,64]", {"block_size": 32}, flops="128*N",
             bytes_read="64*N + 8*N", bytes_written="256*N"),
    )
