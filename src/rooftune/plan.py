"""What will be done to a model, as data: steps with a predicted and, afterwards, a measured gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["STEP_KINDS", "Step"]

STEP_KINDS = ("engine", "rewrite", "compile", "precision", "tune")


@dataclass(frozen=True)
class Step:
    """One thing done to the model or to the way it runs.

    predicted_gain  time before / time after by the model of the machine; None where nothing can predict it
    measured_gain   the same as measured; None before it was tried
    kept            whether it is part of the result; `reason` says why or why not
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    predicted_gain: float | None = None
    measured_gain: float | None = None
    kept: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind not in STEP_KINDS:
            raise ValueError(f"a step is one of {STEP_KINDS}, not {self.kind!r}")
