"""Less: true where the first element is the smaller one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Less")
class Less:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"compare": c.elements})

    cases = (
        Case("float32[3], float32[3] -> bool[3]", flops=3, elementwise={"compare": 3}, bytes_read=24, bytes_written=3),
        # a causal mask: every position against every other
        Case("int64[S,1], int64[1,S] -> bool[S,S]", flops="S**2", bytes_read="16*S", bytes_written="S**2"),
    )
