"""SplitToSequence: one tensor cut into the tensors of a sequence; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work


@operator("SplitToSequence", since=11)
class SplitToSequence:
    def work(self, input: TensorType, split: TensorType | None = None, *, output_sequence: SequenceType) -> Work:
        # the pieces hold the input's elements, however many pieces there are
        return Work(writes=(input.bytes,))

    cases = (
        Case("float32[6,2], int64[] -> seq(float32[2,2])*3", bytes_read=48 + 8, bytes_written=48),
        # no split given: one slice each, without the axis
        Case("int64[N,4] -> seq(int64[4])", {"keepdims": 0}, bytes_read="32*N", bytes_written="32*N"),
    )
