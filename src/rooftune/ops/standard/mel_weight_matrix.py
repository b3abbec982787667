"""MelWeightMatrix: triangles on the mel scale, one for every band, over the bins of a spectrum."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("MelWeightMatrix", since=17)
class MelWeightMatrix:
    def work(
        self,
        num_mel_bins: TensorType,
        dft_length: TensorType,
        sample_rate: TensorType,
        lower_edge_hertz: TensorType,
        upper_edge_hertz: TensorType,
        *,
        y: TensorType,
    ) -> Work:
        n, edges = y.elements, y.shape[1] + 2
        # an element: distance to both neighbouring edges over the width there, the smaller one, not below zero
        # an edge: its place in mel (mul, add), in hertz (div, pow, minus one, mul), its bin (mul, div, floor)
        # and once, both ends of the range from hertz to mel: div, plus one, log, mul
        return Work(
            elementwise={
                "add": 2 * n + 2 * edges + 2,
                "div": 2 * n + 2 * edges + 2,
                "compare": 2 * n,
                "mul": 3 * edges + 2,
                "pow": edges,
                "round": edges,
                "log": 2,
            },
            format=y.dtype,
        )

    cases = (
        # 9 bins × 8 bands = 72 elements of 6 operations, 10 edges of 9, two ends of 4
        Case("int64[], int64[], int64[], float32[], float32[] -> float32[9,8]", flops=432 + 90 + 8,
             elementwise={"add": 166, "div": 166, "compare": 144, "mul": 32, "pow": 10, "round": 10, "log": 2},
             bytes_read=24 + 8, bytes_written=288),
        Case("int32[], int32[], int32[], float32[], float32[] -> float64[F,40]", {"output_datatype": 11},
             flops="240*F + 378 + 8", bytes_read=12 + 8, bytes_written="320*F"),
    )
