"""ScatterND: slices of a copy of the data replaced, or combined with, an update per tuple of indices."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ScatterND", since=11)
class ScatterND:
    reduction: str = "none"

    def work(self, data: TensorType, indices: TensorType, updates: TensorType, *, output: TensorType) -> Work:
        # the data is copied whole to the output; a reduction combines each update with what it meets
        if self.reduction == "none":
            return Work()
        kind = {"add": "add", "mul": "mul", "max": "compare", "min": "compare"}[self.reduction]
        return Work(elementwise={kind: updates.elements})

    cases = (
        Case("float32[8], int64[4,1], float32[4] -> float32[8]", bytes_read=32 + 32 + 16, bytes_written=32),
        # two slices of 4×4 are added
        Case("float32[4,4,4], int64[2,1], float32[2,4,4] -> float32[4,4,4]", {"reduction": "add"},
             flops=32, elementwise={"add": 32}, bytes_read=256 + 16 + 128, bytes_written=256),
        Case("float32[N], int64[2,1], float32[2] -> float32[N]", {"reduction": "mul"},
             flops=2, elementwise={"mul": 2}, bytes_read="4*N + 24", bytes_written="4*N"),
    )
