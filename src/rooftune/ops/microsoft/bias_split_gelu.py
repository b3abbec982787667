"""BiasSplitGelu: a bias added, then one half of the channels times the Gelu of the other."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("BiasSplitGelu", domain="com.microsoft")
class BiasSplitGelu:
    def work(self, x: TensorType, bias: TensorType, *, y: TensorType) -> Work:
        # the output has half the channels: one Gelu and one product each
        return Work(elementwise=tally({"add": x.elements, "mul": y.elements}, activation("Gelu", y)))

    cases = (
        # 16 biased, 8 through Gelu (three products, a sum, an erf) and multiplied
        Case("float32[1,2,8], float32[8] -> float32[1,2,4]", flops=16 + 8 + 40,
             elementwise={"add": 16 + 8, "mul": 8 + 24, "erf": 8}, bytes_read=64 + 32, bytes_written=32),
        Case("float16[N,1,4], float16[4] -> float16[N,1,2]", flops="4*N + 12*N", bytes_read="8*N + 8",
             bytes_written="4*N"),
    )
