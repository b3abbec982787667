"""ReverseSequence: the first elements of every sequence of a batch in reverse order; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReverseSequence", since=10)
class ReverseSequence:
    def work(self, input: TensorType, sequence_lens: TensorType, *, y: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[4,4], int64[4] -> float32[4,4]", bytes_read=64 + 32, bytes_written=64),
        Case("float16[T,2,8], int64[2] -> float16[T,2,8]", bytes_read="32*T + 16", bytes_written="32*T"),
    )
