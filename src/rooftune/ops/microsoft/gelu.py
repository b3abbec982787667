"""Gelu: the element weighted by the Gaussian distribution, as it was before ONNX had it."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Gelu", domain="com.microsoft")
class Gelu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise=activation("Gelu", x))

    cases = (
        # x/√2, erf, one more, times x, times 0.5
        Case("float32[2,3] -> float32[2,3]", flops=30, elementwise={"mul": 18, "add": 6, "erf": 6},
             bytes_read=24, bytes_written=24),
        Case("float16[N,4] -> float16[N,4]", flops="20*N", bytes_read="8*N", bytes_written="8*N"),
    )
