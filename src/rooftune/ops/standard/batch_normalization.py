"""BatchNormalization: every channel shifted and scaled, by known statistics or by those of the batch."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count


@operator("BatchNormalization")
class BatchNormalization:
    training_mode: int = 0

    def work(
        self,
        x: TensorType,
        scale: TensorType,
        bias: TensorType,
        mean: TensorType,
        var: TensorType,
        *,
        y: TensorType,
        running_mean: TensorType | None = None,
        running_var: TensorType | None = None,
        saved_mean: TensorType | None = None,
        saved_var: TensorType | None = None,
    ) -> Work:
        n, channels = x.elements, scale.elements
        parts: list[dict[str, Count]] = [
            # per channel: factor = scale / √(var + ε), shift = bias − mean · factor
            {"add": 2 * channels, "sqrt": channels, "div": channels, "mul": channels},
            # per element: times factor, plus shift
            {"mul": n, "add": n},
        ]
        # before opset 14 training shows in the number of outputs only
        if self.training_mode or running_mean is not None:
            # sum for the mean; subtract it, square, sum for the variance; then both running averages
            parts.append({"add": 3 * n, "mul": n, "div": 2 * channels})
            parts.append({"mul": 4 * channels, "add": 2 * channels})
        return Work(elementwise=tally(*parts))

    cases = (
        # 8 elements in 2 channels
        Case("float32[1,2,2,2], float32[2], float32[2], float32[2], float32[2] -> float32[1,2,2,2]", flops=26,
             elementwise={"mul": 8 + 2, "add": 8 + 4, "sqrt": 2, "div": 2}, bytes_read=32 + 4 * 8, bytes_written=32),
        # training on 6 elements in 3 channels
        Case("float32[2,3], float32[3], float32[3], float32[3], float32[3] -> float32[2,3], float32[3], float32[3]",
             {"training_mode": 1}, flops=75, elementwise={"mul": 9 + 6 + 12, "add": 12 + 18 + 6, "sqrt": 3, "div": 9},
             bytes_read=24 + 48, bytes_written=24 + 24),
        Case("float16[N,4,5,5], float32[4], float32[4], float32[4], float32[4] -> float16[N,4,5,5]",
             flops="200*N + 20", bytes_read="200*N + 64", bytes_written="200*N"),
    )
