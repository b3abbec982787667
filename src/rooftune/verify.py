"""A run against the reference: is it right, and could the check have noticed if it were not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftune.protocols import Arrays
from rooftune.verdicts import Exactness

__all__ = ["OutputCheck", "Verification", "nudge", "verify"]

ROUNDINGS = 16
"""How many times the effect of one rounding at the inputs an error may be: a network rounds in every layer."""

MOST_ROUNDING = 1e-3
"""A difference above this is never explained by rounding."""


@dataclass(frozen=True)
class OutputCheck:
    """Error of one output: max absolute difference / max absolute reference; `spread` = (max - min) / max absolute.

    tolerance  what the declared exactness allows for the output's element type and its rounding
    rounding   error of the reference against itself when the inputs change by their last bit; 0 where not measured
    """

    name: str
    max_relative_error: float
    spread: float
    reason: str = ""
    tolerance: float = 0.0
    rounding: float = 0.0


@dataclass(frozen=True)
class Verification:
    """Outcome of comparing a run with the reference on the same inputs."""

    passed: bool
    max_relative_error: float | None
    tolerance: float
    exactness: str
    outputs: tuple[OutputCheck, ...]
    reason: str = ""


def verify(
    reference: Sequence[Arrays],
    found: Sequence[Arrays],
    exactness: Exactness,
    *,
    nudged: Sequence[Arrays] = (),
    inputs_vary: bool = True,
) -> Verification:
    """Compare runs on several inputs; refuses to pass where nothing could be proven.

    reference, found  one mapping of output name to array per input
    nudged            the reference on the same inputs with their last bits changed (`nudge`): a model that turns one
                      rounding into a large difference is allowed `ROUNDINGS` of them, up to `MOST_ROUNDING`
    inputs_vary       False for models without inputs, whose outputs cannot depend on any
    An output proves nothing when it is constant or all zero, when nearly all of it sits at one value (saturated),
    or when it is the same for every input. One output that proves something is enough, but every one must agree.
    """
    tolerance = exactness.tolerance
    if not reference or len(reference) != len(found):
        return Verification(False, None, tolerance, exactness.value, (), "there were no runs to compare")
    checks = tuple(
        _allowed(_check(name, reference, found, inputs_vary), reference, nudged, exactness) for name in reference[0]
    )
    wrong = next((c for c in checks if not c.max_relative_error <= c.tolerance), None)
    worst = max((c.max_relative_error for c in checks), default=0.0)
    if wrong is not None:
        why = wrong.reason or f"error {wrong.max_relative_error:.2g} is above the tolerance {wrong.tolerance:.2g}"
        return Verification(False, worst, tolerance, exactness.value, checks, f"output {wrong.name}: {why}")
    if all(c.reason for c in checks):
        reasons = "; ".join(f"{c.name} {c.reason}" for c in checks[:3]) or "there were no values to compare"
        return Verification(False, worst, tolerance, exactness.value, checks, f"nothing could be proven: {reasons}")
    return Verification(True, worst, tolerance, exactness.value, checks)


def nudge(inputs: Arrays, seed: int = 0) -> dict[str, NDArray[Any]]:
    """The same inputs with the last bit of every fp32 or fp64 number changed, up or down at random."""
    random = np.random.default_rng(seed)
    found = {}
    for name, array in inputs.items():
        wanted = np.asarray(array)
        if wanted.dtype in (np.float32, np.float64):
            away = np.where(random.random(wanted.shape) < 0.5, -np.inf, np.inf).astype(wanted.dtype)
            wanted = np.nextafter(wanted, away)
        found[name] = wanted
    return found


def _allowed(
    check: OutputCheck, reference: Sequence[Arrays], nudged: Sequence[Arrays], exactness: Exactness
) -> OutputCheck:
    """The check with the tolerance for its output's element type and for what one rounding is worth there."""
    tolerance = exactness.tolerance_for(np.asarray(reference[0][check.name]).dtype.name)
    if exactness is Exactness.BITWISE or not nudged:
        return replace(check, tolerance=tolerance)
    parts = [_error(np.asarray(a[check.name]), np.asarray(b[check.name])) for a, b in zip(reference, nudged)]
    rounding = max((error for error, why in parts if not why), default=0.0)
    floor = min(ROUNDINGS * rounding, MOST_ROUNDING) if np.isfinite(rounding) else 0.0
    return replace(check, tolerance=max(tolerance, floor), rounding=rounding)


def _check(name: str, reference: Sequence[Arrays], found: Sequence[Arrays], inputs_vary: bool) -> OutputCheck:
    error, reason = 0.0, ""
    for expected, answer in zip(reference, found, strict=True):
        if name not in answer:
            return OutputCheck(name, float("inf"), 0.0, "is missing")
        one, why = _error(np.asarray(expected[name]), np.asarray(answer[name]))
        if why:
            return OutputCheck(name, float("inf"), 0.0, why)
        error = max(error, one)
    arrays = [np.asarray(r[name]) for r in reference]
    spread = _spread(arrays)
    if all(a.size == 0 for a in arrays):
        reason = "is empty"
    elif spread == 0:
        reason = "is constant"
    elif _saturated(arrays):
        reason = "sits at one value almost everywhere (saturated)"
    elif inputs_vary and len(arrays) > 1 and all(_same(arrays[0], a) for a in arrays[1:]):
        reason = "does not change with the input"
    return OutputCheck(name, error, spread, reason)


def _error(expected: NDArray[Any], answer: NDArray[Any]) -> tuple[float, str]:
    """Error of one array, or why there is no number for it."""
    if expected.shape != answer.shape:
        return 0.0, f"has shape {list(answer.shape)} instead of {list(expected.shape)}"
    if _is_text(expected) or _is_text(answer):
        return (0.0, "") if np.array_equal(expected, answer) else (0.0, "holds other strings")
    if expected.size == 0:
        return 0.0, ""
    a, b = _wide(expected), _wide(answer)
    odd = ~np.isfinite(a)
    if not np.array_equal(odd, ~np.isfinite(b)) or not np.array_equal(a[odd], b[odd], equal_nan=True):
        return 0.0, "is infinite or not a number in other places"
    if odd.all():
        return 0.0, ""
    difference = float(np.abs(a[~odd] - b[~odd]).max())
    if expected.dtype.kind in "iu" and answer.dtype.kind in "iu" and not np.array_equal(expected, answer):
        difference = max(difference, 1.0)  # large ones are equal only after they became floating-point numbers
    scale = float(np.abs(a[~odd]).max())
    if difference == 0:
        return 0.0, ""
    return (difference / scale if scale > 0 else float("inf")), ""


def _is_text(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "OSUT"


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """In double precision; the small formats NumPy has no kind for (bfloat16, float8) among them."""
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def _finite(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """All finite numbers of several arrays, the parts of complex ones side by side."""
    parts = [np.zeros(0), *(_wide(a).reshape(-1).view(np.float64) for a in arrays if a.size)]
    flat = np.concatenate(parts)
    return flat[np.isfinite(flat)]


def _spread(arrays: Sequence[NDArray[Any]]) -> float:
    if any(_is_text(a) for a in arrays):
        return 1.0 if len({str(text) for a in arrays for text in a.reshape(-1)}) > 1 else 0.0
    flat = _finite(arrays)
    if flat.size == 0:
        return 0.0
    scale = float(np.abs(flat).max())
    return float(flat.max() - flat.min()) / scale if scale > 0 else 0.0


def _saturated(arrays: Sequence[NDArray[Any]]) -> bool:
    """True when over 99.9 % of a large floating-point output is one and the same value."""
    if any(_is_text(a) or a.dtype.kind in "biu" for a in arrays):
        return False
    flat = _finite(arrays)
    if flat.size < 1000:
        return False
    values, counts = np.unique(flat, return_counts=True)
    return bool(counts.max() > 0.999 * flat.size) and values.size < 0.01 * flat.size


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.shape != b.shape:
        return False
    if np.array_equal(a, b):
        return True
    return a.dtype.kind not in "OSUTbiu" and np.array_equal(_wide(a), _wide(b), equal_nan=True)
