"""A run against the reference: is it right, and could the check have noticed if it were not?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rooftune.protocols import Arrays
from rooftune.verdicts import Exactness

__all__ = ["MOST_ROUNDING", "OutputCheck", "Verification", "nudge", "roundings", "verify"]

ROUNDINGS = 8
"""How many times the effect of one rounding at the inputs an error may be: a network rounds in every layer."""

MOST_ROUNDING = 1e-3
"""A difference of outputs above this is never explained by rounding."""

NUDGES = 8
"""How often every input is nudged where one rounding matters: what it is worth there differs tenfold by the bits."""


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
    rounding: Mapping[str, float] = MappingProxyType({}),
    most_rounding: float = MOST_ROUNDING,
    inputs_vary: bool = True,
) -> Verification:
    """Compare runs on several inputs; refuses to pass where nothing could be proven.

    reference, found  one mapping of output name to array per input
    rounding          what one rounding of the inputs is worth in an output (`roundings`): a model that turns it into
                      a large difference is allowed `ROUNDINGS` of them, up to `most_rounding`
    inputs_vary       False for models without inputs, whose outputs cannot depend on any
    An output proves nothing when it is constant or all zero, when nearly all of it sits at one value (saturated),
    or when it is the same for every input. One output that proves something is enough, but every one must agree.
    """
    tolerance = exactness.tolerance
    if not reference or len(reference) != len(found):
        return Verification(False, None, tolerance, exactness.value, (), "there were no runs to compare")
    checks = tuple(
        _allowed(
            _check(name, reference, found, inputs_vary),
            np.asarray(reference[0][name]).dtype.name,
            exactness,
            rounding.get(name, 0.0),
            most_rounding,
        )
        for name in reference[0]
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


def roundings(
    run: Callable[[Arrays], Arrays], samples: Sequence[Arrays], reference: Sequence[Arrays]
) -> dict[str, float]:
    """What one rounding of the inputs is worth in every output: error of the reference against itself when nudged.

    Every sample is nudged once, and `NUDGES` times in a model where `ROUNDINGS` times that is more than is allowed
    anyway. An output for which no error can be said (other shapes, other infinities) has none.
    """
    worst = dict.fromkeys(reference[0] if reference else (), 0.0)
    for seed in range(NUDGES):
        for sample, expected in zip(samples, reference, strict=True):
            found = run(nudge(sample, seed))
            for name in worst:
                error, why = _error(np.asarray(expected[name]), np.asarray(found[name]))
                if not why and np.isfinite(error):
                    worst[name] = max(worst[name], error)
        if not any(ROUNDINGS * one > Exactness.REASSOCIATES.tolerance for one in worst.values()):
            break
    return worst


def _allowed(check: OutputCheck, dtype: str, exactness: Exactness, rounding: float, most: float) -> OutputCheck:
    """The check with the tolerance for its output's element type and for what one rounding is worth there."""
    tolerance = exactness.tolerance_for(dtype)
    if exactness is not Exactness.BITWISE:
        tolerance = max(tolerance, min(ROUNDINGS * rounding, most))
    return replace(check, tolerance=tolerance, rounding=rounding)


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
