"""MatMulInteger: products of 8-bit integer matrices into 32-bit sums."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count


@operator("MatMulInteger", since=10)
class MatMulInteger:
    def work(
        self,
        a: TensorType,
        b: TensorType,
        a_zero_point: TensorType | None = None,
        b_zero_point: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        # a zero point is taken off every element of its tensor once
        shifted: Count = (0 if a_zero_point is None else a.elements) + (0 if b_zero_point is None else b.elements)
        return Work(macs=y.elements * a.shape[-1], elementwise={"add": shifted}, format=a.dtype)

    cases = (
        Case("uint8[2,3], int8[3,4], uint8[], int8[4] -> int32[2,4]", macs=24, flops=48 + 18,
             elementwise={"add": 6 + 12}, bytes_read=6 + 12 + 1 + 4, bytes_written=32),
        Case("int8[N,3], int8[3,4] -> int32[N,4]", macs="12*N", flops="24*N", bytes_read="3*N + 12",
             bytes_written="16*N"),
    )
