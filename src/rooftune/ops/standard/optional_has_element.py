"""OptionalHasElement: whether an optional holds a value; the value itself is not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, ValueType, Work


@operator("OptionalHasElement", since=15)
class OptionalHasElement:
    reads_part = ("input",)

    def work(self, input: ValueType | None = None, *, output: TensorType) -> Work:
        return Work(reads=(0,))

    cases = (
        Case("float32[5] -> bool[]", bytes_read=0, bytes_written=1),
        Case("-> bool[]", bytes_read=0, bytes_written=1),
    )
