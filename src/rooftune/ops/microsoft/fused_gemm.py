"""FusedGemm: Gemm with an activation before it writes."""

from dataclasses import replace

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.gemm import Gemm
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("FusedGemm", domain="com.microsoft")
class FusedGemm(Gemm):
    activation: str = ""

    def work(self, a: TensorType, b: TensorType, c: TensorType | None = None, *, y: TensorType) -> Work:
        gemm = super().work(a, b, c, y=y)
        return replace(gemm, elementwise=tally(gemm.elementwise, activation(self.activation, y)))

    cases = (
        # 8 outputs over 3, a bias and a Relu each
        Case("float32[2,3], float32[3,4], float32[4] -> float32[2,4]", {"activation": "Relu"}, macs=24,
             flops=48 + 16, elementwise={"add": 8, "compare": 8}, bytes_read=24 + 48 + 16, bytes_written=32),
        # times alpha, LeakyRelu multiplies and selects
        Case("float32[N,8], float32[5,8] -> float32[N,5]", {"activation": "LeakyRelu", "transB": 1, "alpha": 0.5},
             macs="40*N", flops="80*N + 15*N", bytes_read="32*N + 160", bytes_written="20*N"),
    )
