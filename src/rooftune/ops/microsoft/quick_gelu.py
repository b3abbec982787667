"""QuickGelu: x · sigmoid(alpha · x)."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("QuickGelu", domain="com.microsoft")
class QuickGelu:
    alpha: float = 1.702

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # the product with x, and one with alpha unless it is one (then this is SiLU)
        products = x.elements if self.alpha == 1.0 else 2 * x.elements
        return Work(elementwise=tally({"mul": products}, activation("Sigmoid", x)))

    cases = (
        # six elements: two products, and negate, exp, add one, divide
        Case("float32[2,3] -> float32[2,3]", flops=36, elementwise={"mul": 12, "add": 12, "exp": 6, "div": 6},
             bytes_read=24, bytes_written=24),
        Case("float32[N,2] -> float32[N,2]", {"alpha": 1.0}, flops="10*N", bytes_read="8*N", bytes_written="8*N"),
    )
