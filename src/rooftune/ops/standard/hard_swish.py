"""HardSwish: the element times its HardSigmoid."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("HardSwish", since=14)
class HardSwish:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # x/6 + 1/2 held between 0 and 1 (times, plus, min, max), then times x
        n = x.elements
        return Work(elementwise={"mul": 2 * n, "add": n, "compare": 2 * n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=30, elementwise={"mul": 12, "add": 6, "compare": 12},
             bytes_read=24, bytes_written=24),
        Case("float32[N,16,7,7] -> float32[N,16,7,7]", flops="3920*N", bytes_read="3136*N", bytes_written="3136*N"),
    )
