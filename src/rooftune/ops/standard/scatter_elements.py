"""ScatterElements: single elements of a copy of the data replaced, or combined with, an update per index."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ScatterElements", since=11)
class ScatterElements:
    reduction: str = "none"

    def work(self, data: TensorType, indices: TensorType, updates: TensorType, *, output: TensorType) -> Work:
        # the data is copied whole to the output; a reduction combines each update with what it meets
        if self.reduction == "none":
            return Work()
        kind = {"add": "add", "mul": "mul", "max": "compare", "min": "compare"}[self.reduction]
        return Work(elementwise={kind: updates.elements})

    cases = (
        Case("float32[3,3], int64[2,3], float32[2,3] -> float32[3,3]", bytes_read=36 + 48 + 24, bytes_written=36),
        Case("float32[1,5], int64[1,2], float32[1,2] -> float32[1,5]", {"axis": 1, "reduction": "add"},
             flops=2, elementwise={"add": 2}, bytes_read=20 + 16 + 8, bytes_written=20),
        Case("float32[1,5], int64[1,2], float32[1,2] -> float32[1,5]", {"axis": 1, "reduction": "max"},
             flops=2, elementwise={"compare": 2}, bytes_read=20 + 16 + 8, bytes_written=20),
    )
