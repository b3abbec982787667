"""SkipLayerNormalization: a residual (and a bias) added, then layer normalisation over the last axis."""

from rooftune.ops.case import Case
from rooftune.ops.normalisation import standardise
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("SkipLayerNormalization", domain="com.microsoft")
class SkipLayerNormalization:
    def work(
        self,
        input: TensorType,
        skip: TensorType,
        gamma: TensorType,
        beta: TensorType | None = None,
        bias: TensorType | None = None,
        *,
        output: TensorType,
        mean: TensorType | None = None,
        inv_std_var: TensorType | None = None,
        input_skip_bias_sum: TensorType | None = None,
    ) -> Work:
        n = input.elements
        sums = (1 + (bias is not None) + (beta is not None)) * n
        return Work(elementwise=tally({"add": sums, "mul": n}, standardise(n, product(input.shape[:-1]))))

    cases = (
        # 8 numbers in 2 rows: residual 8; mean and variance 24 adds, 16 products, 3 divisions, a root and ε per row;
        # then gamma and beta
        Case("float32[1,2,4], float32[1,2,4], float32[4], float32[4] -> float32[1,2,4]", flops=8 + 50 + 16,
             elementwise={"add": 8 + 26 + 8, "mul": 16 + 8, "div": 6, "sqrt": 2}, bytes_read=32 + 32 + 16 + 16,
             bytes_written=32),
        # a bias instead of beta, and the sum kept as a fourth output: 4 numbers per row
        Case("float32[N,1,4], float32[N,1,4], float32[4], -, float32[4] "
             "-> float32[N,1,4], -, -, float32[N,1,4]", flops="37*N", bytes_read="32*N + 32", bytes_written="32*N"),
    )
