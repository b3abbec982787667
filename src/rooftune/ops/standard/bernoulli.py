"""Bernoulli: zeros and ones drawn with the probabilities given."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Bernoulli", since=15)
class Bernoulli:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # one draw, compared with the probability
        n = x.elements
        return Work(elementwise={"random": n, "compare": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=12, elementwise={"random": 6, "compare": 6},
             bytes_read=24, bytes_written=24),
        # the result may be of another type: flags of one byte
        Case("float64[N] -> bool[N]", {"dtype": 9}, flops="2*N", bytes_read="8*N", bytes_written="N"),
    )
