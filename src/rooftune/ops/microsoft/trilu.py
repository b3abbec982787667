"""Trilu: one triangle of every matrix kept, as it was before ONNX had it."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.trilu import Trilu as StandardTrilu


@operator("Trilu", domain="com.microsoft")
class Trilu(StandardTrilu):
    cases = (
        Case("float32[4,5] -> float32[4,5]", bytes_read=80, bytes_written=80),
        Case("int64[N,2,2], int64[1] -> int64[N,2,2]", {"upper": 0}, bytes_read="32*N + 8", bytes_written="32*N"),
    )
