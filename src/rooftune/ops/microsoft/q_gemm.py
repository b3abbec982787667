"""QGemm: a matrix product of 8-bit integers with a bias, to a quantised or a real result."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.quantisation import requantise
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("QGemm", domain="com.microsoft")
class QGemm:
    alpha: float = 1.0
    transA: int = 0  # noqa: N815 - the attribute's name

    def work(
        self,
        a: TensorType,
        a_scale: TensorType,
        a_zero_point: TensorType | None,
        b: TensorType,
        b_scale: TensorType,
        b_zero_point: TensorType | None,
        c: TensorType | None = None,
        y_scale: TensorType | None = None,
        y_zero_point: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        n = y.elements
        # a zero point is taken off every element of its tensor once
        shifted = (0 if a_zero_point is None else a.elements) + (0 if b_zero_point is None else b.elements)
        added = {"add": shifted if c is None else shifted + n}
        scales = b_scale.elements
        # to real numbers the two scales are multiplied once, and the sums by the product
        real = {"convert": n, "mul": n + scales}
        result = real if y_scale is None else requantise(n, scales, y.dtype)
        factor = {} if self.alpha == 1.0 else {"mul": scales}
        return Work(macs=n * a.shape[0 if self.transA else 1], elementwise=tally(added, result, factor))

    cases = (
        # 6 outputs over 4; 8 + 12 shifted, 6 biases; 6 sums scaled by one factor of a product and a division, rounded,
        # shifted, held between two bounds, converted there and back
        Case("uint8[2,4], float32[], uint8[], int8[4,3], float32[], int8[], int32[3], float32[], uint8[] -> uint8[2,3]",
             macs=24, flops=48 + 26 + 44,
             elementwise={"add": 26 + 6, "mul": 7, "div": 1, "round": 6, "compare": 12, "convert": 12},
             bytes_read=8 + 5 + 12 + 5 + 12 + 5, bytes_written=6),
        # weights by row with a scale each, real result without bias
        Case("int8[M,8], float32[], int8[], int8[5,8], float32[5], int8[5] -> float32[M,5]", {"transB": 1},
             macs="40*M", flops="80*M + 8*M + 40 + 5*M + 5*M + 5", bytes_read="8*M + 5 + 40 + 20 + 5",
             bytes_written="20*M"),
    )
