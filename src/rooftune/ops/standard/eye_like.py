"""EyeLike: ones on a diagonal, zeros elsewhere; of the input only the shape is looked at."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("EyeLike", since=9)
class EyeLike:
    reads_part = ("input",)

    def work(self, input: TensorType, *, output: TensorType) -> Work:
        return Work(reads=(0,))

    cases = (
        Case("int32[4,4] -> int32[4,4]", bytes_read=0, bytes_written=64),
        Case("int32[3,5] -> float64[3,5]", {"dtype": 11, "k": 1}, bytes_read=0, bytes_written=120),
    )
