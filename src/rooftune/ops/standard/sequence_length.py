"""SequenceLength: the number of tensors in a sequence; the tensors are not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work


@operator("SequenceLength", since=11)
class SequenceLength:
    reads_part = ("input_sequence",)

    def work(self, input_sequence: SequenceType, *, length: TensorType) -> Work:
        return Work(reads=(0,))

    cases = (
        Case("seq(float32[2,3])*4 -> int64[]", bytes_read=0, bytes_written=8),
        Case("seq(float32[N]) -> int64[]", bytes_read=0, bytes_written=8),
    )
