"""FusedMatMul: a matrix product with transposed operands and a factor, without moving either."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Dim


@operator("FusedMatMul", domain="com.microsoft")
class FusedMatMul:
    alpha: float = 1.0
    transA: int = 0  # noqa: N815 - the attribute's name
    transB: int = 0  # noqa: N815
    transBatchA: int = 0  # noqa: N815
    transBatchB: int = 0  # noqa: N815

    def work(self, a: TensorType, b: TensorType, *, y: TensorType) -> Work:
        # every output element sums over the shared axis
        macs = y.elements * self._depth(a)
        return Work(macs=macs, elementwise={} if self.alpha == 1.0 else {"mul": y.elements})

    def _depth(self, a: TensorType) -> Dim:
        """Length of the shared axis: the last of A, or where the transposition put it."""
        if not self.transA or a.rank < 2:
            return a.shape[-1]
        # with transBatchA the rows lie before the batch axes: [K, batch, M]
        return a.shape[0] if self.transBatchA else a.shape[-2]

    cases = (
        # 2·3·5 outputs over 4
        Case("float32[2,3,4], float32[2,4,5] -> float32[2,3,5]", macs=120, flops=240,
             bytes_read=96 + 160, bytes_written=120),
        # Q·Kᵀ/√d: 2·3·6 outputs over 4, scaled
        Case("float32[2,3,4], float32[2,6,4] -> float32[2,3,6]", {"transB": 1, "alpha": 0.5}, macs=144, flops=324,
             elementwise={"mul": 36}, bytes_read=96 + 192, bytes_written=144),
        Case("float32[4,N], float32[4,5] -> float32[N,5]", {"transA": 1}, macs="20*N", flops="40*N",
             bytes_read="16*N + 80", bytes_written="20*N"),
        # rows before the batch: A is [K=4, batch=2, M=3]
        Case("float32[4,2,3], float32[2,4,5] -> float32[2,3,5]", {"transA": 1, "transBatchA": 1}, macs=120, flops=240,
             bytes_read=96 + 160, bytes_written=120),
    )
