"""GroupNormalization: zero mean and unit variance over groups of channels, then scale and bias."""

from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("GroupNormalization", since=18)
class GroupNormalization:
    num_groups: int

    def work(self, x: TensorType, scale: TensorType, bias: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        return Work(elementwise=tally(standardise(n, x.shape[0] * self.num_groups), {"mul": n, "add": n}))

    cases = (
        # 16 elements in 2 groups
        Case("float32[1,4,2,2], float32[4], float32[4] -> float32[1,4,2,2]", {"num_groups": 2}, flops=122,
             elementwise={"add": 48 + 2 + 16, "mul": 32 + 16, "div": 6, "sqrt": 2},
             bytes_read=64 + 16 + 16, bytes_written=64),
        # 7 operations for each of 16·N elements, 5 for each of 4·N groups
        Case("float16[N,8,2], float16[4], float16[4] -> float16[N,8,2]", {"num_groups": 4}, flops="112*N + 20*N",
             bytes_read="32*N + 16", bytes_written="32*N"),
    )
