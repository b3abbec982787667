"""GroupNorm: channels normalised in groups, with an optional SiLU behind."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("GroupNorm", domain="com.microsoft")
class GroupNorm:
    activation: int = 0
    groups: int = 1

    def work(self, x: TensorType, gamma: TensorType, beta: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        affine = {"mul": n, "add": n}
        # SiLU: x · sigmoid(x)
        silu = tally({"mul": n}, activation("Sigmoid", x)) if self.activation else {}
        return Work(elementwise=tally(standardise(n, x.shape[0] * self.groups), affine, silu))

    cases = (
        # 16 numbers in 2 groups: 48 + 2 adds, 32 products, 6 divisions, 2 roots; gamma and beta
        Case("float32[1,2,2,4], float32[4], float32[4] -> float32[1,2,2,4]", {"groups": 2}, flops=90 + 32,
             elementwise={"add": 66, "mul": 48, "div": 6, "sqrt": 2}, bytes_read=64 + 32, bytes_written=64),
        # SiLU: five operations per number more
        Case("float32[1,2,2,4], float32[4], float32[4] -> float32[1,2,2,4]", {"groups": 2, "activation": 1},
             flops=90 + 32 + 80, bytes_read=64 + 32, bytes_written=64),
    )
