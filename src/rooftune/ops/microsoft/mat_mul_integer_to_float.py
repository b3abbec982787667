"""MatMulIntegerToFloat: a matrix product of 8-bit integers, scaled to real numbers, with an optional bias."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import larger


@operator("MatMulIntegerToFloat", domain="com.microsoft")
class MatMulIntegerToFloat:
    def work(
        self,
        a: TensorType,
        b: TensorType,
        a_scale: TensorType,
        b_scale: TensorType,
        a_zero_point: TensorType | None = None,
        b_zero_point: TensorType | None = None,
        bias: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        n = y.elements
        # a zero point is taken off every element of its tensor once
        shifted = (0 if a_zero_point is None else a.elements) + (0 if b_zero_point is None else b.elements)
        # the two scales are multiplied once, the sums by the product
        scaled = {"convert": n, "mul": n + larger(a_scale.elements, b_scale.elements)}
        added = {"add": shifted if bias is None else shifted + n}
        return Work(macs=n * a.shape[-1], elementwise=tally(scaled, added))

    cases = (
        # 6 outputs over 4; 8 shifted; 6 converted and scaled, and one product of scales
        Case("uint8[2,4], int8[4,3], float32[], float32[], uint8[] -> float32[2,3]", macs=24, flops=48 + 8 + 6 + 7,
             elementwise={"add": 8, "convert": 6, "mul": 7}, bytes_read=8 + 12 + 4 + 4 + 1, bytes_written=24),
        # a scale per column, and a bias
        Case("int8[N,2,4], int8[4,3], float32[], float32[3], -, -, float32[3] -> float32[N,2,3]", macs="24*N",
             flops="48*N + 18*N + 3", bytes_read="8*N + 12 + 4 + 12 + 12", bytes_written="24*N"),
    )
