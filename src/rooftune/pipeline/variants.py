"""The model as it is and as it was rewritten: what candidates can be measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.errors import RooftuneError
from rooftune.graph.model import Model
from rooftune.graph.save import save_graph
from rooftune.machine.spec import Machine
from rooftune.pipeline.job import Job
from rooftune.pipeline.proof import Proof, prove
from rooftune.pipeline.rewrite import rewrite_facts, rewrite_model
from rooftune.protocols import Progress
from rooftune.records import Refused
from rooftune.rewrite.engine import Rewritten

__all__ = ["Variant", "keep_variant", "rewrite_section", "rewritten_variant"]

REWRITTEN = "rewritten"


@dataclass(frozen=True)
class Variant:
    """A model file candidates run. `name` is "" for the original."""

    name: str
    model: Model
    path: Path
    rewritten: Rewritten | None = None
    proof: Proof | None = None


def rewritten_variant(
    job: Job, machine: Machine, folder: Path, progress: Progress, *, skip: Sequence[str] = ()
) -> Variant | Refused:
    """The losslessly rewritten model in a file of its own, proven equal; or why there is none to try."""
    what = "rewrite the graph"
    try:
        with progress.stage("rewriting"):
            rewritten = rewrite_model(job.model, machine, job.threads, skip=skip, progress=progress)
            if not rewritten.journal.applied:
                return Refused(what, "no rule applies: the graph is as small as the rules can make it")
            path = save_graph(rewritten.model.ir, folder / f"{REWRITTEN}.onnx")
        with progress.stage("proving the rewritten model"):
            proof = prove(job.model, rewritten, path, job.samples)
    except RooftuneError as why:
        return Refused(what, why.cause)
    if not proof.verification.passed:
        where = f" (first at {proof.first_wrong})" if proof.first_wrong else ""
        _remove(path)
        return Refused(what, f"{proof.verification.reason}{where}")
    return Variant(REWRITTEN, rewritten.model, path, rewritten, proof)


def keep_variant(variants: Sequence[Variant], kept: str) -> None:
    """Leave the file of the variant that was chosen under the name of the first, and no other."""
    first = variants[0]
    for variant in variants[1:]:
        if variant.name != kept:
            _remove(variant.path)
        elif _data_of(variant.path).exists():
            # the graph names its data file: written again under the name it keeps
            assert variant.rewritten is not None
            save_graph(variant.rewritten.model.ir, first.path)
            _remove(variant.path)
        else:
            variant.path.replace(first.path)


def rewrite_section(
    job: Job, variant: Variant, analyses: Mapping[tuple[str, str], Analysis], groups: str
) -> dict[str, Any]:
    """The record's section on what was rewritten."""
    assert variant.rewritten is not None
    before, after = analyses[("", groups)], analyses[(variant.name, groups)]
    return rewrite_facts(len(job.model.ir.graph), variant.rewritten, before, after, variant.proof)


def _data_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _data_of(path).unlink(missing_ok=True)
