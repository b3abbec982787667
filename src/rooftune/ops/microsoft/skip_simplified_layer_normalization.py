"""SkipSimplifiedLayerNormalization: a residual (and a bias) added, then RMSNormalization over the last axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.rms_normalization import RMSNormalization
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("SkipSimplifiedLayerNormalization", domain="com.microsoft")
class SkipSimplifiedLayerNormalization:
    def work(
        self,
        input: TensorType,
        skip: TensorType,
        gamma: TensorType,
        bias: TensorType | None = None,
        *,
        output: TensorType,
        mean: TensorType | None = None,
        inv_std_var: TensorType | None = None,
        input_skip_bias_sum: TensorType | None = None,
    ) -> Work:
        normalised = RMSNormalization().work(input, gamma, y=output)
        sums = input.elements if bias is None else 2 * input.elements
        return Work(elementwise=tally({"add": sums}, normalised.elementwise))

    cases = (
        # 8 numbers in 2 rows: the residual, then 38 for the normalisation
        Case("float32[1,2,4], float32[1,2,4], float32[4] -> float32[1,2,4]", flops=8 + 38,
             elementwise={"add": 18, "mul": 16, "div": 10, "sqrt": 2}, bytes_read=32 + 32 + 16, bytes_written=32),
        # a bias too, and the sum kept as the fourth output: per row 8 sums and 19
        Case("float16[N,1,4], float16[N,1,4], float16[4], float16[4] -> float16[N,1,4], -, -, float16[N,1,4]",
             flops="27*N", bytes_read="16*N + 16", bytes_written="16*N"),
    )
