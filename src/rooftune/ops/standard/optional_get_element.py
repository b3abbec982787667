"""OptionalGetElement: the value inside an optional; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import ValueType, Work


@operator("OptionalGetElement", since=15)
class OptionalGetElement:
    is_view = True

    def work(self, input: ValueType, *, output: ValueType) -> Work:
        return Work()

    cases = (
        Case("float32[5] -> float32[5]", bytes_read=20, bytes_written=20),
        Case("seq(int32[2,2])*3 -> seq(int32[2,2])*3", bytes_read=48, bytes_written=48),
    )
