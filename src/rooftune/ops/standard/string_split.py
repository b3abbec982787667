"""StringSplit: strings cut at a delimiter; the search grows with the length of the strings, which is data."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType
from rooftune.quantities import Unknown


@operator("StringSplit", since=20)
class StringSplit:
    def work(self, x: TensorType, *, y: TensorType, z: TensorType) -> Unknown:
        return Unknown("splitting strings takes as long as they are, which is data")

    cases = (
        Case("string[3] -> string[3,2], int64[3]", flops=Unknown("strings")),
        Case("string[N,2] -> string[N,2,4], int64[N,2]", flops=Unknown("strings")),
    )
