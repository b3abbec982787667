"""FusedMatMulActivation: FusedMatMul with an activation before it writes."""

from dataclasses import replace

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.microsoft.fused_mat_mul import FusedMatMul
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("FusedMatMulActivation", domain="com.microsoft")
class FusedMatMulActivation(FusedMatMul):
    activation: str = ""

    def work(self, a: TensorType, b: TensorType, *, y: TensorType) -> Work:
        product = super().work(a, b, y=y)
        return replace(product, elementwise=tally(product.elementwise, activation(self.activation, y)))

    cases = (
        Case("float32[2,3,4], float32[4,5] -> float32[2,3,5]", {"activation": "Relu"}, macs=120, flops=270,
             elementwise={"compare": 30}, bytes_read=96 + 80, bytes_written=120),
        # scaled scores and their softmax: 18 outputs over 4; multiply, then max, subtract, exp, sum, divide
        Case("float32[3,4], float32[6,4] -> float32[3,6]",
             {"activation": "Softmax", "activation_axis": -1, "transB": 1, "alpha": 0.5}, macs=72, flops=144 + 18 * 6,
             elementwise={"mul": 18, "compare": 18, "add": 36, "exp": 18, "div": 18},
             bytes_read=48 + 96, bytes_written=72),
    )
