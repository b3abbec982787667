"""Multinomial: classes drawn from the distribution that each row of log-probabilities describes."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Multinomial", since=7)
class Multinomial:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        n, draws, classes = x.elements, y.elements, x.shape[1]
        # running totals of exp(x − max): max, subtract, exp, accumulate; a draw times the total is then looked up
        # in the row from its start, whose length bounds the search
        return Work(elementwise={"compare": n + draws * classes, "add": 2 * n, "exp": n, "random": draws, "mul": draws})

    cases = (
        # six log-probabilities; eight draws search three classes each
        Case("float32[2,3] -> int32[2,4]", {"sample_size": 4}, flops=64,
             elementwise={"compare": 6 + 24, "add": 12, "exp": 6, "random": 8, "mul": 8},
             bytes_read=24, bytes_written=32),
        Case("float32[N,10] -> int64[N,1]", {"dtype": 7}, flops="52*N", bytes_read="40*N", bytes_written="8*N"),
    )
