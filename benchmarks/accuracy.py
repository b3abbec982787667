"""How far an engine's answer is from what is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rooftune.execute.competitor import Entry
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.protocols import Arrays

__all__ = ["error_of"]


def error_of(entry: Entry, inputs: Arrays, expected: NDArray[np.float64]) -> float | None:
    """Max absolute difference / max absolute value of the one output; None where the engine cannot be run."""
    try:
        with Worker(entry.candidate, entry.model_path) as worker:
            (found,) = worker.run(inputs).values()
    except EngineFailure:
        return None
    return float(np.abs(found - expected).max() / np.abs(expected).max())
