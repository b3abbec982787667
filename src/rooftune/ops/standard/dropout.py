"""Dropout: the input handed on; where the node has a training switch, a random part of it dropped."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Dropout")
class Dropout:
    is_view = True

    def work(
        self,
        data: TensorType,
        ratio: TensorType | None = None,
        training_mode: TensorType | None = None,
        *,
        output: TensorType,
        mask: TensorType | None = None,
    ) -> Work:
        if training_mode is None:
            return Work()
        # whether the switch is on is data, so the dearer way bounds it: draw, compare, times mask, times scale
        n = data.elements
        return Work(elementwise={"random": n, "compare": n, "mul": 2 * n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", {"ratio": 0.5}, flops=0, bytes_read=24, bytes_written=24),
        # the mask of an idle Dropout is all true, and written all the same
        Case("float16[N,4], float16[] -> float16[N,4], bool[N,4]", flops=0, bytes_read="8*N + 2", bytes_written="12*N"),
        Case("float32[2,3], float32[], bool[] -> float32[2,3], bool[2,3]", flops=24,
             elementwise={"random": 6, "compare": 6, "mul": 12}, bytes_read=24 + 4 + 1, bytes_written=24 + 6),
    )
