"""What a step may answer: a reasoned no, and how exact a yes is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Exactness", "Refusal"]


@dataclass(frozen=True)
class Refusal:
    """A "no" with its reason; `at` names the node, tensor or candidate it is about."""

    reason: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.at}: {self.reason}" if self.at else self.reason


class Exactness(Enum):
    """How far a step may move the outputs; the tolerance of its verification follows from it."""

    BITWISE = "bitwise"
    REASSOCIATES = "reassociates"
    APPROXIMATES = "approximates"

    def within(self, other: Exactness) -> bool:
        """True where this moves the outputs no further than the other may."""
        order = list(Exactness)
        return order.index(self) <= order.index(other)

    @property
    def tolerance(self) -> float:
        """Largest allowed error (max absolute difference / max absolute reference, per output).

        `REASSOCIATES`: another order of the same fp32 operations. Engines differ from each other by
        up to 3.2e-6 on the classic networks, so 1e-5 leaves a factor of three and no more.
        `APPROXIMATES`: a different number format or formula; the user's own accuracy gate decides
        further, this only catches what is broken.
        """
        return {"bitwise": 0.0, "reassociates": 1e-5, "approximates": 5e-2}[self.value]

    def tolerance_for(self, dtype: str) -> float:
        """Largest allowed error of an output of this element type.

        Half-precision formats cannot hold a number more exactly than to half a unit in the last place, and engines
        round to them where they please (ONNX Runtime computes chains of float16 operators in float32): four units
        where fp32 is allowed its 1e-5. What must be equal bit by bit stays so.
        """
        unit = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, 0.0)
        return self.tolerance if self is Exactness.BITWISE else max(self.tolerance, 4 * unit)
