"""BiasAdd: a bias per channel and a residual added to the data."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BiasAdd", domain="com.microsoft")
class BiasAdd:
    def work(self, x: TensorType, bias: TensorType, skip: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"add": 2 * y.elements})

    cases = (
        Case("float32[1,4,8], float32[8], float32[1,4,8] -> float32[1,4,8]", flops=64, elementwise={"add": 64},
             bytes_read=128 + 32 + 128, bytes_written=128),
        Case("float16[N,2,320], float16[320], float16[N,2,320] -> float16[N,2,320]", flops="1280*N",
             bytes_read="2560*N + 640", bytes_written="1280*N"),
    )
