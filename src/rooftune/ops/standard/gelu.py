"""Gelu: the element weighted by the Gaussian distribution, exactly or through tanh."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Gelu", since=20)
class Gelu:
    approximate: str = "none"

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        if self.approximate == "tanh":
            # 0.5·x·(1 + tanh(c·(x + 0.044715·x³))): three products make 0.044715·x³, then c, 0.5 and x
            return Work(elementwise={"mul": 6 * n, "add": 2 * n, "tanh": n})
        # 0.5·x·(1 + erf(x·√½)): the constant under erf, 0.5 and x
        return Work(elementwise={"mul": 3 * n, "add": n, "erf": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=30, elementwise={"mul": 18, "add": 6, "erf": 6},
             bytes_read=24, bytes_written=24),
        Case("float32[2,3] -> float32[2,3]", {"approximate": "tanh"}, flops=54,
             elementwise={"mul": 36, "add": 12, "tanh": 6}, bytes_read=24, bytes_written=24),
        Case("float16[N,4] -> float16[N,4]", flops="20*N", bytes_read="8*N", bytes_written="8*N"),
    )
