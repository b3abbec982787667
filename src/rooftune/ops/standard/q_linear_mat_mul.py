"""QLinearMatMul: products of 8-bit matrices, brought back to 8 bits by scale and zero point."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.quantisation import requantise
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import larger


@operator("QLinearMatMul", since=10)
class QLinearMatMul:
    def work(
        self,
        a: TensorType,
        a_scale: TensorType,
        a_zero_point: TensorType,
        b: TensorType,
        b_scale: TensorType,
        b_zero_point: TensorType,
        y_scale: TensorType,
        y_zero_point: TensorType,
        *,
        y: TensorType,
    ) -> Work:
        scales = larger(a_scale.elements, b_scale.elements, y_scale.elements)
        return Work(
            macs=y.elements * a.shape[-1],
            elementwise=tally(
                {"add": a.elements + b.elements},  # zero points taken off every element once
                requantise(y.elements, scales, y.dtype),
            ),
            format=a.dtype,
        )

    cases = (
        # 6 + 12 zero points; 8 sums converted, multiplied, rounded, shifted, clamped twice, converted; one factor
        Case("uint8[2,3], float32[], uint8[], uint8[3,4], float32[], uint8[], float32[], uint8[] -> uint8[2,4]",
             macs=24, flops=48 + 76,
             elementwise={"add": 18 + 8, "mul": 8 + 1, "div": 1, "round": 8, "compare": 16, "convert": 16},
             bytes_read=6 + 5 + 12 + 5 + 5, bytes_written=8),
        # four columns with a scale of their own
        Case("int8[N,2], float32[], int8[], int8[2,4], float32[4], int8[4], float32[], int8[] -> int8[N,4]",
             macs="8*N", flops="16*N + 2*N + 8 + 28*N + 4 + 4", bytes_read="2*N + 5 + 8 + 16 + 4 + 5",
             bytes_written="4*N"),
    )
