"""BiasGelu: a bias added, then Gelu through the error function."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("BiasGelu", domain="com.microsoft")
class BiasGelu:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise=tally({"add": c.elements}, activation("Gelu", c)))

    cases = (
        # six elements: the bias, and Gelu's three products, one sum and one erf
        Case("float32[2,3], float32[3] -> float32[2,3]", flops=36, elementwise={"add": 12, "mul": 18, "erf": 6},
             bytes_read=24 + 12, bytes_written=24),
        Case("float32[N,4], float32[4] -> float32[N,4]", flops="24*N", bytes_read="16*N + 16", bytes_written="16*N"),
    )
