"""ConcatFromSequence: the tensors of a sequence copied side by side (or stacked) into one tensor."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work


@operator("ConcatFromSequence", since=11)
class ConcatFromSequence:
    def work(self, input_sequence: SequenceType, *, concat_result: TensorType) -> Work:
        # what is read is what is written, also where the length of the sequence is not known beforehand
        return Work(reads=(concat_result.bytes,))

    cases = (
        Case("seq(float32[2,3])*4 -> float32[8,3]", {"axis": 0}, bytes_read=96, bytes_written=96),
        Case("seq(float32[2,3]) -> float32[5,2,3]", {"axis": 0, "new_axis": 1}, bytes_read=120, bytes_written=120),
    )
