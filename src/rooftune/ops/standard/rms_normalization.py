"""RMSNormalization: every element over the root mean square of the trailing axes, then scaled."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("RMSNormalization", since=23)
class RMSNormalization:
    axis: int = -1

    def work(self, x: TensorType, scale: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        groups = product(x.shape[: self.axis])
        # square, sum, mean, plus ε, root; then divide and scale
        return Work(elementwise={"mul": 2 * n, "add": n + groups, "div": groups + n, "sqrt": groups})

    cases = (
        Case("float32[2,4], float32[4] -> float32[2,4]", flops=38,
             elementwise={"mul": 16, "add": 10, "div": 10, "sqrt": 2}, bytes_read=32 + 16, bytes_written=32),
        # per token 2·512 + 513 + 513 + 1
        Case("float16[N,S,512], float16[512] -> float16[N,S,512]", flops="2051*N*S", bytes_read="1024*N*S + 1024",
             bytes_written="1024*N*S"),
    )
