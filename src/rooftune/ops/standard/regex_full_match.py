"""RegexFullMatch: whether strings match a pattern; the work depends on the strings and the pattern."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType
from rooftune.quantities import Unknown


@operator("RegexFullMatch", since=20)
class RegexFullMatch:
    def work(self, x: TensorType, *, y: TensorType) -> Unknown:
        return Unknown("matching a pattern depends on the strings, which are data")

    cases = (
        Case("string[3] -> bool[3]", flops=Unknown("strings")),
        Case("string[N,2] -> bool[N,2]", flops=Unknown("strings")),
    )
