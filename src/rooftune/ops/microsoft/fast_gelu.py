"""FastGelu: Gelu through tanh, with an optional bias added first."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.gelu import Gelu
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("FastGelu", domain="com.microsoft")
class FastGelu:
    def work(self, x: TensorType, bias: TensorType | None = None, *, y: TensorType) -> Work:
        gelu = Gelu(approximate="tanh").work(x, y=y)
        return Work(elementwise=tally({} if bias is None else {"add": x.elements}, gelu.elementwise))

    cases = (
        # six elements: six products, two sums and one tanh each
        Case("float32[2,3] -> float32[2,3]", flops=54, elementwise={"mul": 36, "add": 12, "tanh": 6},
             bytes_read=24, bytes_written=24),
        Case("float32[2,3], float32[3] -> float32[2,3]", flops=60, elementwise={"mul": 36, "add": 18, "tanh": 6},
             bytes_read=24 + 12, bytes_written=24),
    )
