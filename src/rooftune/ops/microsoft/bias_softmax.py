"""BiasSoftmax: a bias (such as an attention mask) added, then Softmax."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("BiasSoftmax", domain="com.microsoft")
class BiasSoftmax:
    def work(self, data: TensorType, bias: TensorType, *, output: TensorType) -> Work:
        return Work(elementwise=tally({"add": data.elements}, activation("Softmax", data)))

    cases = (
        # 24 scores: the mask, then max, subtract, exp, sum, divide
        Case("float32[1,2,3,4], float32[1,1,1,4] -> float32[1,2,3,4]",
             {"axis": 3, "is_inner_broadcast": 0}, flops=24 * 6,
             elementwise={"add": 72, "compare": 24, "exp": 24, "div": 24}, bytes_read=96 + 16, bytes_written=96),
        Case("float32[N,4], float32[4] -> float32[N,4]", flops="24*N", bytes_read="16*N + 16", bytes_written="16*N"),
    )
