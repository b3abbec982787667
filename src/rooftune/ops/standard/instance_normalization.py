"""InstanceNormalization: zero mean and unit variance for every channel of every instance, then scale and bias."""

from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("InstanceNormalization")
class InstanceNormalization:
    def work(self, x: TensorType, scale: TensorType, bias: TensorType, *, output: TensorType) -> Work:
        n = x.elements
        return Work(elementwise=tally(standardise(n, x.shape[0] * x.shape[1]), {"mul": n, "add": n}))

    cases = (
        Case("float32[1,2,3], float32[2], float32[2] -> float32[1,2,3]", flops=52,
             elementwise={"add": 18 + 2 + 6, "mul": 12 + 6, "div": 6, "sqrt": 2},
             bytes_read=24 + 8 + 8, bytes_written=24),
        # 7 operations per element, 5 per channel and instance
        Case("float32[N,3,H,W], float32[3], float32[3] -> float32[N,3,H,W]", flops="21*N*H*W + 15*N",
             bytes_read="12*N*H*W + 24", bytes_written="12*N*H*W"),
    )
