"""SkipGroupNorm: a residual (and a bias) added, then GroupNorm."""

from rooftune.ops.case import Case
from rooftune.ops.microsoft.group_norm import GroupNorm
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("SkipGroupNorm", domain="com.microsoft")
class SkipGroupNorm:
    activation: int = 0
    groups: int = 1

    def work(
        self,
        x: TensorType,
        gamma: TensorType,
        beta: TensorType,
        skip: TensorType,
        bias: TensorType | None = None,
        *,
        y: TensorType,
        s: TensorType | None = None,
    ) -> Work:
        normalised = GroupNorm(activation=self.activation, groups=self.groups).work(x, gamma, beta, y=y)
        sums = x.elements if bias is None else 2 * x.elements
        return Work(elementwise=tally({"add": sums}, normalised.elementwise))

    cases = (
        # 122 for GroupNorm of 16 numbers in 2 groups; a skip per channel and a bias; the sum is kept
        Case("float32[1,2,2,4], float32[4], float32[4], float32[1,4], float32[4] "
             "-> float32[1,2,2,4], float32[1,2,2,4]", {"groups": 2}, flops=122 + 32,
             bytes_read=64 + 16 + 16 + 16 + 16, bytes_written=128),
        Case("float32[1,2,2,4], float32[4], float32[4], float32[1,2,2,4] -> float32[1,2,2,4]",
             {"groups": 2, "activation": 1}, flops=122 + 80 + 16, bytes_read=64 + 16 + 16 + 64, bytes_written=64),
    )
