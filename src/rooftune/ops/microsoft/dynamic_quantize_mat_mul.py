"""DynamicQuantizeMatMul: a real matrix quantised on the fly and multiplied with 8-bit weights."""

from rooftune.ops.case import Case
from rooftune.ops.microsoft.mat_mul_integer_to_float import MatMulIntegerToFloat
from rooftune.ops.operator import operator
from rooftune.ops.standard.dynamic_quantize_linear import DynamicQuantizeLinear
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import DType


@operator("DynamicQuantizeMatMul", domain="com.microsoft")
class DynamicQuantizeMatMul:
    def work(
        self,
        a: TensorType,
        b: TensorType,
        b_scale: TensorType,
        b_zero_point: TensorType | None = None,
        bias: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        # A becomes 8 bits wide with a scale and a zero point of its own; these stay in cache
        narrow = TensorType(DType.UINT8, a.shape)
        scale, zero_point = TensorType(a.dtype, ()), TensorType(DType.UINT8, ())
        quantised = DynamicQuantizeLinear().work(a, y=narrow, y_scale=scale, y_zero_point=zero_point)
        product = MatMulIntegerToFloat().work(narrow, b, scale, b_scale, zero_point, b_zero_point, bias, y=y)
        return Work(
            macs=product.macs, elementwise=tally(quantised.elementwise, product.elementwise), format=b.dtype
        )

    cases = (
        # A of 8: range 16, scale and zero point 10, quantised 48; 8 shifted; 6 sums converted and scaled, a factor
        Case("float32[2,4], int8[4,3], float32[] -> float32[2,3]", macs=24, flops=48 + 16 + 10 + 48 + 8 + 6 + 7,
             bytes_read=32 + 12 + 4, bytes_written=24),
        # a scale and a zero point per column, and a bias: per row 8·8 to quantise, 8 shifted, 3·(2 + 1) at the end
        Case("float32[N,8], int8[8,3], float32[3], int8[3], float32[3] -> float32[N,3]", macs="24*N",
             flops="48*N + 64*N + 10 + 8*N + 24 + 9*N + 3", bytes_read="32*N + 24 + 12 + 3 + 12",
             bytes_written="12*N"),
    )
