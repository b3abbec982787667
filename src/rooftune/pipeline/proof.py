"""Is the rewritten model still the same: the original and the shipped file run side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rooftune.errors import InputError
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.model import Model
from rooftune.graph.outputs import behind_choices, scores, with_outputs
from rooftune.graph.save import save_graph
from rooftune.pipeline.samples import Samples
from rooftune.protocols import Arrays
from rooftune.rewrite.engine import Rewritten
from rooftune.verdicts import Exactness
from rooftune.verify import MOST_ROUNDING, Verification, roundings, verify

__all__ = ["Proof", "prove"]

MOST_ROUNDING_INSIDE = 1e-2
"""As `verify.MOST_ROUNDING`, for intermediates: their largest value may be what little a subtraction left."""


@dataclass(frozen=True)
class Proof:
    """Outcome of comparing a rewritten model with the original.

    compared    how many values were compared: outputs, the scores before choosing operators, intermediates
    first_wrong the first operator, in running order, whose result differs; "" where none does
    """

    verification: Verification
    compared: int
    first_wrong: str = ""


def prove(
    original: Model, rewritten: Rewritten, shipped: Path, samples: Samples, *, intermediates: bool = False
) -> Proof:
    """Run the original and the file that is shipped, both as they are written, on the same inputs.

    Outputs behind TopK, ArgMax and the like are compared by the scores they choose by, unless the rewriting is
    bitwise. With `intermediates`, and whenever something differs, every value that lives on is compared too.
    """
    names = _names(original, rewritten)
    bounds = {name: tuple(int(d) for d in array.shape) for name, array in samples[0].items()}
    outcome = _compare(original, rewritten, shipped, samples, names, bounds, MOST_ROUNDING)
    if outcome.passed and not intermediates:
        return Proof(outcome, len(names))
    inside = {**names, **_surviving(original, rewritten)}
    detailed = _compare(original, rewritten, shipped, samples[:1], inside, bounds, MOST_ROUNDING_INSIDE)
    wrong = {c.name for c in detailed.outputs if not c.max_relative_error <= c.tolerance}
    first = next((n.name or n.op_type for n in original.nodes if any(v.name in wrong for v in n.outputs)), "")
    return Proof(detailed if outcome.passed and not detailed.passed else outcome, len(inside), first)


def _names(original: Model, rewritten: Rewritten) -> dict[str, str]:
    """What to compare: name in the original → name in the rewritten model."""
    outputs = {name: name for name in original.outputs}
    if rewritten.exactness is Exactness.BITWISE:
        return outputs
    there = {v.name for node in rewritten.model.nodes for v in node.outputs}
    chosen_by = {name: rewritten.renamed.get(name, name) for name in scores(original.graph)}
    if any(new not in there for new in chosen_by.values()):
        return outputs
    indirect = behind_choices(original.graph)
    return {**{n: n for n in outputs if n not in indirect}, **chosen_by}


def _surviving(original: Model, rewritten: Rewritten) -> dict[str, str]:
    """Tensors of the original graph that are still computed."""
    there = {v.name for node in rewritten.model.nodes for v in node.outputs}
    found = {}
    for node in original.nodes:
        for value in node.outputs:
            name = value.name or ""
            new = rewritten.renamed.get(name, name)
            if name and new in there and value.dtype is not None:
                found[name] = new
    return found


def _compare(
    original: Model,
    rewritten: Rewritten,
    shipped: Path,
    samples: Samples,
    names: Mapping[str, str],
    bounds: Mapping[str, tuple[int, ...]],
    most_rounding: float,
) -> Verification:
    exactness = rewritten.exactness
    with tempfile.TemporaryDirectory(prefix="rooftune-") as scratch:
        before, after = original.path, shipped
        if before is None or any(name not in original.outputs for name in names):
            before = save_graph(with_outputs(original.ir, names), Path(scratch) / "before.onnx")
        if any(name not in original.outputs for name in names.values()):
            after = save_graph(with_outputs(rewritten.model.ir, names.values()), Path(scratch) / "after.onnx")
        try:
            with Worker(reference_candidate(), before, input_shapes=bounds) as worker:
                expected = [worker.run(sample) for sample in samples]
                rounding = {} if exactness is Exactness.BITWISE else roundings(worker.run, samples, expected)
        except EngineFailure as failure:
            raise InputError(
                f"ONNX Runtime cannot run the original, so nothing can be proven: {failure.readable}",
                "give inputs it can be run on with --input FILE.npz, or write without proof with --unverified",
            ) from None
        try:
            with Worker(reference_candidate(), after, input_shapes=bounds) as worker:
                found = [worker.run(sample) for sample in samples]
        except EngineFailure as failure:
            reason = f"the rewritten model does not run: {failure.readable}"
            return Verification(False, None, exactness.tolerance, exactness.value, (), reason)
    pairs = [_matched(one, other, names) for one, other in zip(expected, found, strict=True)]
    return verify(
        [a for a, _ in pairs],
        [b for _, b in pairs],
        exactness,
        rounding=rounding,
        most_rounding=most_rounding,
        inputs_vary=bool(samples[0]),
    )


def _matched(expected: Arrays, found: Arrays, names: Mapping[str, str]) -> tuple[Arrays, Arrays]:
    """Both runs under the names of the original; what the second one lacks stays missing, and fails."""
    return (
        {name: expected[name] for name in names},
        {name: found[new] for name, new in names.items() if new in found},
    )
