"""LayerNormalization: zero mean and unit variance over the trailing axes, then scale and bias."""

from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("LayerNormalization", since=17)
class LayerNormalization:
    axis: int = -1

    def work(
        self,
        x: TensorType,
        scale: TensorType,
        bias: TensorType | None = None,
        *,
        y: TensorType,
        mean: TensorType | None = None,
        inv_std_dev: TensorType | None = None,
    ) -> Work:
        n = x.elements
        groups = product(x.shape[: self.axis])
        return Work(
            elementwise=tally(standardise(n, groups), {"mul": n, "add": 0 if bias is None else n})
        )

    cases = (
        # 8 elements in 2 groups: 3 sums each and one ε per group, then the bias
        Case("float32[2,4], float32[4], float32[4] -> float32[2,4]", flops=66,
             elementwise={"add": 24 + 2 + 8, "mul": 16 + 8, "div": 6, "sqrt": 2},
             bytes_read=32 + 16 + 16, bytes_written=32),
        # over the last two axes there is one group
        Case("float32[2,4], float32[2,4] -> float32[2,4]", {"axis": 0}, flops=25 + 24 + 3 + 1,
             bytes_read=32 + 32, bytes_written=32),
        Case("float16[N,4], float16[4] -> float16[N,4], float32[N,1], float32[N,1]", flops="29*N",
             bytes_read="8*N + 8", bytes_written="8*N + 8*N"),
    )
