"""What an optimisation is asked to do, checked and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rooftune.errors import InputError, MissingDependency
from rooftune.execute.backend import OBJECTIVES, Backend, find_backend, present_backends
from rooftune.graph.model import Model
from rooftune.pipeline.prepare import thread_count
from rooftune.pipeline.samples import Given, Samples, open_with_samples
from rooftune.records import Refused
from rooftune.verdicts import Exactness

__all__ = ["Job", "open_job", "read_exactness"]


@dataclass(frozen=True)
class Job:
    """A model with its inputs, and within which bounds the fastest way to run it is looked for.

    samples  input sets to verify with; the first one is also timed
    given    what the inputs are, in words
    shapes   shape of every input, in which open dimensions are bound
    absent   backends that could not be asked, with the reason
    budget   seconds for measuring
    exactness  how far from the formulas as written a candidate may go
    """

    model: Model
    samples: Samples
    given: str
    shapes: Mapping[str, tuple[int, ...]]
    backends: Sequence[Backend]
    absent: Sequence[Refused]
    threads: int
    objective: str
    budget: float
    seed: int
    exactness: Exactness = Exactness.APPROXIMATES

    @property
    def name(self) -> str:
        return self.model.path.stem if self.model.path else "model"

    @property
    def settings(self) -> dict[str, Any]:
        """The job as the record's `settings`."""
        return {
            "threads": self.threads,
            "objective": self.objective,
            "backends": [b.name for b in self.backends],
            "budget_seconds": self.budget,
            "exactness": self.exactness.value,
            "seed": self.seed,
            "inputs": self.given,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }


def open_job(
    source: Any,
    *,
    backends: Sequence[str] | None,
    threads: int | None,
    objective: str,
    inputs: Given,
    shapes: Mapping[str, Sequence[int | str]] | None,
    batch: int | None,
    budget: float,
    seed: int,
    exactness: str = Exactness.APPROXIMATES.value,
) -> Job:
    """Check what was asked for and open the model. Parameters and errors are those of `optimize`."""
    if objective not in OBJECTIVES:
        raise InputError(f"objective {objective!r} is not known", f"choose {' or '.join(OBJECTIVES)}")
    allowed = read_exactness(exactness)
    if not isinstance(budget, int | float):
        raise InputError(f"a budget of {budget!r} is no number", "give seconds, such as 60")
    if not 0 < budget < float("inf"):
        raise InputError(f"a budget of {budget} s allows no measurement", "give more, such as --budget 60s")
    count = thread_count(threads)
    chosen, absent = _backends(backends)
    model, samples = open_with_samples(source, inputs, shapes=shapes, batch=batch, seed=seed)
    chosen, refusing = _willing(chosen, model)
    absent = [*absent, *refusing]
    given = f"random, seed {seed}" if inputs is None else "arrays" if isinstance(inputs, Mapping) else str(inputs)
    bound = {name: tuple(int(d) for d in array.shape) for name, array in samples[0].items()}
    return Job(model, samples, given, bound, chosen, absent, count, objective, budget, seed, allowed)


def read_exactness(text: str) -> Exactness:
    """How far from the formulas of the graph candidates may go. Raises InputError for another word."""
    known = [e.value for e in Exactness if e is not Exactness.BITWISE]
    if text not in known:
        raise InputError(f"exactness {text!r} is not known", f"choose {' or '.join(known)}")
    return Exactness(text)


def _backends(names: Sequence[str] | None) -> tuple[list[Backend], list[Refused]]:
    if names is not None:
        if not names:
            raise InputError("--backends names none", "name at least one, such as --backends onnxruntime")
        return [find_backend(n) for n in dict.fromkeys(names)], []
    present, absent = present_backends()
    if not present:
        raise MissingDependency("no engine is installed", "pip install onnxruntime")
    return list(present.values()), [Refused(f"backend {name}", why.reason) for name, why in absent.items()]


def _willing(backends: Sequence[Backend], model: Model) -> tuple[list[Backend], list[Refused]]:
    """Those that run a model themselves, and the others with their reasons. InputError where there is nobody else."""
    asked = [(backend, backend.refuses(model)) for backend in backends]
    willing = [backend for backend, why in asked if why is None]
    refused = [Refused(f"backend {backend.name}", why.reason) for backend, why in asked if why is not None]
    if not willing:
        first = refused[0]
        raise InputError(
            f"the {first.what} does not run this model: {first.reason}", "leave --backends out, or name others"
        )
    return willing, refused
