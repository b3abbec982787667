"""Split: one tensor cut into several along one axis; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Split")
class Split:
    def work(self, input: TensorType, split: TensorType | None = None, *, outs: tuple[TensorType, ...]) -> Work:
        return Work()

    cases = (
        Case("float32[6] -> float32[2], float32[4]", {"split": [2, 4]}, bytes_read=24, bytes_written=24),
        Case("float32[2,7], int64[3] -> float32[2,3], float32[2,3], float32[2,1]", {"axis": 1},
             bytes_read=56 + 24, bytes_written=56),
    )
