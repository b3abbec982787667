"""Something that runs a model (a backend), one way of running it (a candidate), and who is present."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rooftune.errors import InputError, MissingDependency
from rooftune.protocols import Arrays
from rooftune.verdicts import Exactness, Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = [
    "OBJECTIVES",
    "Backend",
    "Candidate",
    "LoadedModel",
    "ModelFacts",
    "TakesOtherSizes",
    "TensorSpec",
    "find_backend",
    "known_backends",
    "present_backends",
]

OBJECTIVES = ("latency", "throughput")


@dataclass(frozen=True)
class TensorSpec:
    """What an input or output is: element type as text (`float32`), shape with names or None for open dimensions."""

    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class ModelFacts:
    """What a backend may want to know before it lists its candidates."""

    branches: bool = False  # some value has consumers that do not depend on each other
    budget: float = float("inf")  # seconds for all that is measured


@dataclass(frozen=True)
class Candidate:
    """One way of running a model: a backend with its settings on exactly `threads` threads.

    settings     JSON-able; what the backend's `load` obeys
    concurrency  requests in flight at once (1 for latency)
    label        the settings in a few words, for people
    exactness    `approximates` where formulas are used that round otherwise than those written, such as Winograd's
    """

    backend: str
    settings: Mapping[str, Any]
    threads: int
    concurrency: int = 1
    label: str = ""
    exactness: Exactness = Exactness.REASSOCIATES

    def __post_init__(self) -> None:
        if self.threads < 1 or self.concurrency < 1:
            raise InputError(
                f"a candidate needs at least one thread and one request, found {self.threads} and {self.concurrency}",
                "give --threads 1 or more",
            )
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_json(), sort_keys=True))

    @property
    def name(self) -> str:
        """`onnxruntime(all) ×2 threads`: unique among the candidates of a backend's space."""
        flight = f", {self.concurrency} in flight" if self.concurrency > 1 else ""
        threads = f"×{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.backend}({self.label}) {threads}{flight}"

    def to_json(self) -> dict[str, Any]:
        """The candidate as plain JSON; `from_json` gives it back."""
        return {
            "backend": self.backend,
            "settings": dict(self.settings),
            "threads": self.threads,
            "concurrency": self.concurrency,
            "label": self.label,
            "exactness": self.exactness.value,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Candidate:
        return cls(
            backend=str(value["backend"]),
            settings=value["settings"],
            threads=int(value["threads"]),
            concurrency=int(value.get("concurrency", 1)),
            label=str(value.get("label", "")),
            exactness=Exactness(value.get("exactness", Exactness.REASSOCIATES.value)),
        )


class LoadedModel(Protocol):
    """A model inside an engine. `run` may be called by several threads at once."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]: ...

    def run(self, arrays: Arrays) -> dict[str, Any]:
        """Outputs by name; every input must be there, nothing else may be."""
        ...

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """Time of every kernel in `runs` runs, mapped to the source operators."""
        ...

    def close(self) -> None:
        """Free what the engine holds; the model cannot be run afterwards."""
        ...


class Backend(Protocol):
    """Something that runs a model. Only `load` and what it returns may import the engine."""

    @property
    def name(self) -> str: ...

    @property
    def peer(self) -> bool:
        """True for what users have without us: baselines are chosen among these."""
        ...

    def available(self) -> Refusal | None:
        """None when it can run here; else why not, and what to install."""
        ...

    def version(self) -> str:
        """The engine's version, `""` when it is absent."""
        ...

    def refuses(self, model: Model) -> Refusal | None:
        """Why racing this backend on a model says nothing, such as that another engine would run it; None mostly."""
        ...

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        """How a sensible user runs it in fp32 without tuning; the baseline is chosen among these."""
        ...

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        """Every candidate worth measuring, the default first."""
        ...

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> LoadedModel:
        """Load a model into this process; `input_shapes` bind open dimensions. Errors are the engine's own."""
        ...


@runtime_checkable
class TakesOtherSizes(Protocol):
    """A backend whose models are made for some sizes, and that can let others come too."""

    def load_open(self, model_path: Path, candidate: Candidate, first: Mapping[str, Sequence[int]]) -> LoadedModel:
        """Load a model that is ready for some shapes of its inputs, and takes all that its open dimensions allow."""
        ...


@cache
def known_backends() -> Mapping[str, Backend]:
    """Every backend there is a file for, present or not, by name (the files import no engine)."""
    from rooftune.execute import backends

    found: dict[str, Backend] = {}
    for module in sorted(pkgutil.iter_modules(backends.__path__), key=lambda m: m.name):
        backend: Backend = importlib.import_module(f"{backends.__name__}.{module.name}").BACKEND
        found[backend.name] = backend
    return MappingProxyType(found)


def present_backends() -> tuple[dict[str, Backend], dict[str, Refusal]]:
    """Backends that can run here, by name; and the absent ones, each with its reason."""
    present: dict[str, Backend] = {}
    absent: dict[str, Refusal] = {}
    for name, backend in known_backends().items():
        refusal = backend.available()
        if refusal is None:
            present[name] = backend
        else:
            absent[name] = refusal
    return present, absent


def find_backend(name: str) -> Backend:
    """The backend called `name`, ready to run.

    Raises InputError for a name nobody knows and MissingDependency when its engine is not installed.
    """
    known = known_backends()
    if name not in known:
        raise InputError(f"no backend is called {name!r}", f"choose among {', '.join(known)}")
    refusal = known[name].available()
    if refusal is not None:
        raise MissingDependency(f"the backend {name} cannot run here", refusal.reason)
    return known[name]
