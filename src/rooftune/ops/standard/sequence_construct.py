"""SequenceConstruct: tensors collected into a sequence; every element is counted as moved once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import SequenceType, TensorType, Work, add_up


@operator("SequenceConstruct", since=11)
class SequenceConstruct:
    def work(self, *inputs: TensorType, output_sequence: SequenceType) -> Work:
        # the sequence holds what came in, also where its type does not state a length
        return Work(writes=(add_up(i.bytes for i in inputs),))

    cases = (
        Case("float32[2,3], float32[2,3] -> seq(float32[2,3])*2", bytes_read=48, bytes_written=48),
        # tensors of different shapes
        Case("int64[5], int64[N] -> seq(int64[N])", bytes_read="40 + 8*N", bytes_written="40 + 8*N"),
    )
