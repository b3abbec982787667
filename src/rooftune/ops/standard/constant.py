"""Constant: a tensor stored in the graph; engines keep it with the weights and run nothing.

The unfused byte views count the stored tensor as written once, as for every other node.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("Constant")
class Constant:
    def work(self, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("-> float32[5,5]", bytes_read=0, bytes_written=100),
        Case("-> int64[]", bytes_read=0, bytes_written=8),
        Case("-> string[2]", bytes_read=0, bytes_written=Unknown("strings have no fixed size")),
    )
