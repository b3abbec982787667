"""SequenceEmpty: a sequence without tensors; nothing moves."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, Work


@operator("SequenceEmpty", since=11)
class SequenceEmpty:
    def work(self, *, output: SequenceType) -> Work:
        return Work(writes=(0,))

    cases = (
        Case("-> seq(float32[2,3])", bytes_read=0, bytes_written=0),
        Case("-> seq(int64[4])*0", {"dtype": 7}, bytes_read=0, bytes_written=0),
    )
