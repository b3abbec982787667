"""Optional: a value wrapped as one that may be absent; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import ValueType, Work


@operator("Optional", since=15)
class Optional:
    is_view = True

    def work(self, input: ValueType | None = None, *, output: ValueType) -> Work:
        # wrapped absence has no bytes
        return Work(writes=(0 if input is None else input.bytes,))

    cases = (
        Case("float32[2,3] -> float32[2,3]", bytes_read=24, bytes_written=24),
        Case("-> float32[2,3]", bytes_read=0, bytes_written=0),
        Case("seq(int64[4])*2 -> seq(int64[4])*2", bytes_read=64, bytes_written=64),
    )
