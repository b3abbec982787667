"""SimplifiedLayerNormalization: RMSNormalization as ONNX Runtime writes it into the default domain."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.rms_normalization import RMSNormalization
from rooftune.ops.types import TensorType, Work


@operator("SimplifiedLayerNormalization")
class SimplifiedLayerNormalization(RMSNormalization):
    def work(
        self, x: TensorType, scale: TensorType, *, y: TensorType, inv_std_var: TensorType | None = None
    ) -> Work:
        return super().work(x, scale, y=y)

    cases = (
        # 8 numbers in 2 rows: squares and scale 16, sums and ε 10, means and quotients 10, 2 roots
        Case("float32[2,4], float32[4] -> float32[2,4]", flops=38,
             elementwise={"mul": 16, "add": 10, "div": 10, "sqrt": 2}, bytes_read=32 + 16, bytes_written=32),
        # half precision keeps its statistics in single precision: 4 numbers and 3 operations per row
        Case("float16[N,4], float16[4] -> float16[N,4], float32[N,1]", flops="16*N + 3*N",
             bytes_read="8*N + 8", bytes_written="8*N + 4*N"),
    )
