"""The verdict of an optimisation in one sentence."""

from __future__ import annotations

from rooftune.analysis.analyze import Analysis
from rooftune.graph.model import Model
from rooftune.quantities import Unknown, time_text
from rooftune.records import Placed, Speedup
from rooftune.verify import Verification

__all__ = ["optimize_verdict"]


def optimize_verdict(
    model: Model,
    baseline: Placed,
    best: Placed,
    speedup: Speedup,
    verification: Verification,
    analysis: Analysis,
    reason: str,
) -> str:
    """What was gained, how sure that is, whether it is right, and how much is left to the roof."""
    name = model.path.stem if model.path else "The model"
    if best.name != baseline.name:
        text = (
            f"{name} runs {speedup.median:.2f}× faster ({time_text(baseline.seconds)} → {time_text(best.seconds)}) with "
            f"{best.name} than with the best default, {baseline.name}"
        )
    else:
        text = f"{name} runs in {time_text(best.seconds)} with {best.name}, the fastest default; nothing beat it"
        text += " beyond doubt" if reason else ""
    if verification.passed and verification.max_relative_error is not None:
        text += f"; verified, error {verification.max_relative_error:.1e}"
    else:
        text += f"; NOT verified: {verification.reason}"
    roof = analysis.totals.roof_seconds
    if not isinstance(roof, Unknown) and roof > 0 and best.seconds > 0:
        text += f"; it stands at {100 * roof / best.seconds:.0f} % of the roof ({time_text(roof)})"
    return text + "."
