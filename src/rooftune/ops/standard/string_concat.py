"""StringConcat: two strings put together, element by element; characters move and nothing is computed."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("StringConcat", since=20)
class StringConcat:
    def work(self, x: TensorType, y: TensorType, *, z: TensorType) -> Work:
        return Work()

    cases = (
        # how long the strings are is data
        Case("string[2], string[2] -> string[2]", bytes_read=Unknown("strings"), bytes_written=Unknown("strings")),
        Case("string[N,1], string[3] -> string[N,3]", bytes_read=Unknown("strings"), bytes_written=Unknown("strings")),
    )
