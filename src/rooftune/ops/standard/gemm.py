"""Gemm: alpha · A · B + beta · C."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count


@operator("Gemm")
class Gemm:
    alpha: float = 1.0
    beta: float = 1.0
    transA: int = 0  # noqa: N815 — the attribute's name
    transB: int = 0  # noqa: N815

    def work(self, a: TensorType, b: TensorType, c: TensorType | None = None, *, y: TensorType) -> Work:
        inner = a.shape[0] if self.transA else a.shape[-1]
        parts: list[dict[str, Count]] = []
        if self.alpha != 1:
            parts.append({"mul": y.elements})
        if c is not None:
            # C is scaled as it is, then added to every element of the result
            parts.append({"mul": 0 if self.beta == 1 else c.elements, "add": y.elements})
        return Work(macs=y.elements * inner, elementwise=tally(*parts))

    cases = (
        Case("float32[2,3], float32[3,4], float32[4] -> float32[2,4]", macs=24, flops=48 + 8,
             elementwise={"add": 8}, bytes_read=24 + 48 + 16, bytes_written=32),
        # both transposed: the inner axis is A's first; 8 products for alpha, 4 for the row C, 8 additions
        Case("float32[3,2], float32[4,3], float32[4] -> float32[2,4]",
             {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}, macs=24, flops=48 + 20,
             elementwise={"mul": 12, "add": 8}, bytes_read=24 + 48 + 16, bytes_written=32),
        # the classifier of a network with an open batch
        Case("float32[N,512], float32[10,512], float32[10] -> float32[N,10]", {"transB": 1}, macs="5120*N",
             flops="10250*N", bytes_read="2048*N + 20480 + 40", bytes_written="40*N"),
        Case("float64[2,3], float64[3,2] -> float64[2,2]", macs=12, flops=24, bytes_read=96, bytes_written=32),
    )
