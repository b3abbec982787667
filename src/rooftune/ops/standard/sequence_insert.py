"""SequenceInsert: a sequence with one tensor more; all its tensors are counted as moved."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work, add_up


@operator("SequenceInsert", since=11)
class SequenceInsert:
    def work(
        self,
        input_sequence: SequenceType,
        tensor: TensorType,
        position: TensorType | None = None,
        *,
        output_sequence: SequenceType,
    ) -> Work:
        # the new sequence is the old one and the tensor, also where its type does not state a length
        return Work(writes=(add_up((input_sequence.bytes, tensor.bytes)),))

    cases = (
        Case("seq(float32[2,3])*3, float32[2,3], int64[] -> seq(float32[2,3])*4",
             bytes_read=72 + 24 + 8, bytes_written=96),
        Case("seq(int8[N])*1, int8[5] -> seq(int8[5])", bytes_read="N + 5", bytes_written="N + 5"),
    )
