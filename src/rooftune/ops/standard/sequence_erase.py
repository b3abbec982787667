"""SequenceErase: a sequence without one of its tensors; the tensors that stay are counted as moved."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work
from rooftune.quantities import Unknown


@operator("SequenceErase", since=11)
class SequenceErase:
    reads_part = ("input_sequence",)

    def work(
        self, input_sequence: SequenceType, position: TensorType | None = None, *, output_sequence: SequenceType
    ) -> Work:
        return Work(reads=(output_sequence.bytes, 0 if position is None else position.bytes))

    cases = (
        Case("seq(float32[2,3])*4, int64[] -> seq(float32[2,3])*3", bytes_read=72 + 8, bytes_written=72),
        Case("seq(int8[7])*2 -> seq(int8[7])*1", bytes_read=7, bytes_written=7),
        Case("seq(int8[7]) -> seq(int8[7])", bytes_read=Unknown("length"), bytes_written=Unknown("length")),
    )
