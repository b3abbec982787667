"""QLinearReduceMean: means of a quantised tensor along axes, quantised."""

from rooftune.ops.case import Case
from rooftune.ops.dequantised import quantised
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("QLinearReduceMean", domain="com.microsoft")
class QLinearReduceMean:
    def work(
        self,
        data: TensorType,
        data_scale: TensorType,
        data_zero_point: TensorType | None,
        reduced_scale: TensorType,
        reduced_zero_point: TensorType | None = None,
        *,
        reduced: TensorType,
    ) -> Work:
        # every element enters a sum; one division per mean
        mean = {"add": data.elements, "div": reduced.elements}
        operands = [(data, data_zero_point is not None)]
        return Work(elementwise=quantised(operands, mean, reduced, reduced_zero_point is not None))

    cases = (
        # 12 elements to 3 means: 36 to real numbers, 12 sums, 3 divisions, 18 back
        Case("uint8[3,4], float32[], uint8[], float32[], uint8[] -> uint8[3]", {"axes": [1], "keepdims": 0},
             flops=36 + 12 + 3 + 18, bytes_read=12 + 5 + 5, bytes_written=3),
        Case("int8[N,8,7,7], float32[], -, float32[], - -> int8[N,8,1,1]", {"axes": [2, 3], "keepdims": 1},
             flops="2*392*N + 392*N + 8*N + 5*8*N", bytes_read="392*N + 8", bytes_written="8*N"),
    )
