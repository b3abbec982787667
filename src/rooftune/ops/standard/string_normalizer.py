"""StringNormalizer: case changed, stop words dropped; the work grows with the strings' length, which is data."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType
from rooftune.quantities import Unknown


@operator("StringNormalizer", since=10)
class StringNormalizer:
    def work(self, x: TensorType, *, y: TensorType) -> Unknown:
        return Unknown("normalising strings takes as long as they are, which is data")

    cases = (
        Case("string[3] -> string[2]", flops=Unknown("strings")),
        Case("string[N,2] -> string[N,2]", flops=Unknown("strings")),
    )
