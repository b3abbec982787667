"""Testing a cause: the costliest operators alone, under changed conditions."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from rooftune.analysis.explain import Explanation, OperatorGap
from rooftune.execute.backend import Candidate, TensorSpec, find_backend
from rooftune.execute.inputs import random_inputs
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.extract import extract_nodes, with_channels_rounded_up
from rooftune.graph.model import Model
from rooftune.protocols import Progress

__all__ = ["Counterfactual", "counterfactuals"]

_RUNS = 50
_CHANNELS = 16  # lanes of the widest vector: a multiple of it leaves no lane without a channel
_NOTICEABLE = 0.1


@dataclass(frozen=True)
class Counterfactual:
    """One operator run again with one condition changed.

    seconds           with the condition changed
    baseline_seconds  as it was inside the model (hot weights), or alone (the others)
    conclusion        what follows for the cause, in words
    """

    name: str
    operator: str
    seconds: float
    baseline_seconds: float
    conclusion: str


def counterfactuals(
    model: Model, gap: Explanation, candidate: Candidate, progress: Progress, *, count: int
) -> list[Counterfactual]:
    """Run the `count` costliest operators that are not at their roof alone, and with one thing changed each time.

    hot weights        the operator alone, again and again: its weights stay in cache
    one thread         the same on one thread: what dividing the work costs
    aligned channels   the same with channels rounded up to full vectors: what padding costs

    Operators that cannot be cut out (several outputs of a control flow, open shapes) are passed over.
    """
    worth = [
        o for o in gap.operators if o.roof_seconds and o.nodes and o.seconds > 0 and (o.share_of_roof or 1.0) < 0.9
    ]
    found: list[Counterfactual] = []
    for operator in worth[:count]:
        with progress.stage(f"testing why {operator.name} takes its time"):
            found += _test(model, operator, candidate)
    return found


def _test(model: Model, operator: OperatorGap, candidate: Candidate) -> list[Counterfactual]:
    found: list[Counterfactual] = []
    with tempfile.TemporaryDirectory(prefix="rooftune-alone-") as scratch:
        alone = Path(scratch) / "alone.onnx"
        if not extract_nodes(model, operator.nodes, alone):
            return []
        hot = _time(alone, candidate)
        if hot is None:
            return []
        found.append(
            Counterfactual("hot weights", operator.name, hot, operator.seconds, _hot_text(hot, operator.seconds))
        )
        if candidate.threads > 1:
            single = _time(alone, replace(find_backend(candidate.backend).default(1)))
            if single is not None:
                text = _thread_text(single, hot, candidate.threads)
                found.append(Counterfactual("one thread", operator.name, single, hot, text))
        rounded = Path(scratch) / "rounded.onnx"
        growth = with_channels_rounded_up(alone, rounded, _CHANNELS)
        if growth is not None and growth > 1:
            wider = _time(rounded, candidate)
            if wider is not None:
                text = _channel_text(wider, hot, growth)
                found.append(Counterfactual("aligned channels", operator.name, wider, hot, text))
    return found


def _time(path: Path, candidate: Candidate) -> float | None:
    try:
        with Worker(candidate, path) as worker:
            specs = {n: TensorSpec(s.dtype, s.shape) for n, s in worker.loaded.inputs.items()}
            worker.feed(random_inputs(specs))
            worker.time(5)
            return statistics.median(worker.time(_RUNS))
    except EngineFailure:
        return None


def _hot_text(alone: float, inside: float) -> str:
    if alone < inside * (1 - _NOTICEABLE):
        saved = 100 * (1 - alone / inside)
        return (
            f"{saved:.0f} % less time alone: inside the model its weights and inputs come from further away (traffic)"
        )
    return "no faster alone: where its data lies is not the cause"


def _thread_text(single: float, together: float, threads: int) -> str:
    speedup = single / together
    share = speedup / threads
    if share < 1 - _NOTICEABLE:
        return (
            f"{threads} threads make it {speedup:.2f}× faster: {100 * (1 - share):.0f} % is lost to dividing the work"
        )
    return f"{threads} threads make it {speedup:.2f}× faster: dividing the work costs next to nothing"


def _channel_text(wider: float, alone: float, growth: float) -> str:
    per_work = wider / alone / growth
    if per_work < 1 - _NOTICEABLE:
        return f"{100 * (1 - per_work):.0f} % less time per operation with full vectors: padding is a cause"
    return "no less time per operation with full vectors: padding is not the cause"
