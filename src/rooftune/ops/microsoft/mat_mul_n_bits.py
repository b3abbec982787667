"""MatMulNBits: a matrix product with weights of 2 to 8 bits, expanded block by block."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("MatMulNBits", domain="com.microsoft")
class MatMulNBits:
    K: int = 0
    N: int = 0

    def work(
        self,
        a: TensorType,
        b: TensorType,
        scales: TensorType,
        zero_points: TensorType | None = None,
        g_idx: TensorType | None = None,
        bias: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        # each weight is converted, shifted by its zero point (the middle of the range if none is given) and scaled
        weights = self.K * self.N
        expanded = {"convert": weights, "add": weights, "mul": weights}
        return Work(
            macs=y.elements * self.K, elementwise=tally(expanded, {} if bias is None else {"add": y.elements})
        )

    cases = (
        # 2·4 outputs over 32; 128 weights of 4 bits in 64 bytes, one scale per row
        Case("float32[2,32], uint8[4,1,16], float32[4] -> float32[2,4]", {"K": 32, "N": 4, "block_size": 32},
             macs=256, flops=512 + 384, elementwise={"convert": 128, "add": 128, "mul": 128},
             bytes_read=256 + 64 + 16, bytes_written=32),
        # two blocks per row, zero points packed two to a byte, and a bias
        Case("float32[M,64], uint8[4,2,16], float32[4,2], uint8[4,1], -, float32[4] -> float32[M,4]",
             {"K": 64, "N": 4, "block_size": 32}, macs="256*M", flops="512*M + 768 + 4*M",
             bytes_read="256*M + 128 + 32 + 4 + 16", bytes_written="16*M"),
    )
