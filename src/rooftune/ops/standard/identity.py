"""Identity: the value itself; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import ValueType, Work


@operator("Identity")
class Identity:
    is_view = True

    def work(self, input: ValueType, *, output: ValueType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3] -> float32[2,3]", bytes_read=24, bytes_written=24),
        Case("seq(float16[5])*3 -> seq(float16[5])*3", bytes_read=30, bytes_written=30),
    )
