"""SequenceAt: one tensor copied out of a sequence; the others are not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work


@operator("SequenceAt", since=11)
class SequenceAt:
    reads_part = ("input_sequence",)

    def work(self, input_sequence: SequenceType, position: TensorType, *, tensor: TensorType) -> Work:
        return Work(reads=(tensor.bytes, position.bytes))

    cases = (
        Case("seq(float32[2,3])*4, int64[] -> float32[2,3]", bytes_read=24 + 8, bytes_written=24),
        # a sequence of unknown length: the picked tensor is known all the same
        Case("seq(float16[N]), int32[] -> float16[N]", bytes_read="2*N + 4", bytes_written="2*N"),
    )
