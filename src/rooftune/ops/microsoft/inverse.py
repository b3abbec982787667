"""Inverse: the inverses of square matrices.

n³ multiply-accumulates each, as in Golub and Van Loan: n³/3 to factor into L·U, 2n³/3 to solve for the identity.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Inverse", domain="com.microsoft")
class Inverse:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # every element of a result costs n multiply-accumulates
        return Work(macs=x.elements * x.shape[-1])

    cases = (
        Case("float32[4,4] -> float32[4,4]", macs=64, flops=128, bytes_read=64, bytes_written=64),
        Case("float32[N,3,3] -> float32[N,3,3]", macs="27*N", flops="54*N", bytes_read="36*N", bytes_written="36*N"),
    )
