"""A model in stages: some run natively, the others in ONNX Runtime, one after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from rooftune.compiler.partition import Stage
from rooftune.execute.backend import Candidate, LoadedModel, TensorSpec
from rooftune.execute.divide import Divided, Shares
from rooftune.execute.leases import Leased
from rooftune.execute.stage_models import specs_of
from rooftune.protocols import Arrays

if TYPE_CHECKING:
    from rooftune.execute.profile import Kernel, Profile

__all__ = ["PartitionedModel", "RunningStage", "StageModel", "require_inputs"]


class StageModel(LoadedModel, Protocol):
    """A loaded model that says how many bytes it holds."""

    @property
    def memory_bytes(self) -> int: ...


@dataclass(frozen=True)
class RunningStage:
    """A stage with what runs it."""

    stage: Stage
    model: StageModel


class PartitionedModel:
    """Stages that hand their results on as arrays. Several threads may run it at once."""

    def __init__(
        self, divided: Divided, stages: Sequence[RunningStage], candidate: Candidate, known: frozenset[str]
    ) -> None:
        """A model of loaded stages, which it closes.

        known  names of the nodes of the model given, which profiles speak of
        """
        self.stages = tuple(stages)
        self.shares: Shares = divided.shares
        self._origins, self._known, self._candidate = divided.origins, known, candidate
        graph = divided.model.ir.graph
        self.inputs: Mapping[str, TensorSpec] = specs_of(graph.inputs)
        self.outputs: Mapping[str, TensorSpec] = specs_of(graph.outputs)
        self._constants = divided.constants
        self._leases = [Leased(one.model) for one in self.stages]
        self._unneeded = _unneeded_after(self.stages, self.outputs)
        self.memory_bytes = sum(one.model.memory_bytes for one in self.stages)

    def run(self, arrays: Arrays) -> dict[str, Any]:
        require_inputs(arrays, self.inputs)
        values: dict[str, Any] = dict(arrays)
        for number, _ in self._steps(values):
            for name in self._unneeded[number]:
                values.pop(name, None)
        return {name: self._result(name, values) for name in self.outputs}

    def _steps(self, values: dict[str, Any]) -> Iterator[tuple[int, float]]:
        """Run stage by stage, results among the values; the number of each stage that is done, and its seconds."""
        for number, (one, lease) in enumerate(zip(self.stages, self._leases, strict=True)):
            with lease.use() as model:
                given = {name: values[name] for name in one.stage.inputs}
                start = time.perf_counter()
                values |= model.run(given)
                seconds = time.perf_counter() - start
            yield number, seconds

    def _result(self, name: str, values: Mapping[str, Any]) -> Any:
        if name in self._constants:
            return self._constants[name].copy()
        # what came in is the caller's: it does not go out again as the model's own
        return values[name].copy() if name in self.inputs else values[name]

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """Kernels of all stages by each engine's own measure, scaled to what their stage takes in its place."""
        from rooftune.execute.profile import assemble_profile

        seconds: list[list[float]] = []
        values: dict[str, Any] = {}
        for _ in range(max(1, runs)):
            values = dict(arrays)
            seconds.append([spent for _, spent in self._steps(values)])
        taken = [statistics.median(column) for column in zip(*seconds, strict=True)]
        whole = statistics.median(sum(row) for row in seconds)
        kernels: list[Kernel] = []
        for number, one in enumerate(self.stages):
            given = {name: values[name] for name in one.stage.inputs}
            kernels += self._kernels(number, given, runs, taken[number])
        native = sum(spent for spent, one in zip(taken, self.stages, strict=True) if one.stage.native)
        self.shares = replace(self.shares, time=native / sum(taken) if sum(taken) else None)
        return assemble_profile(
            backend="native",
            settings=dict(self._candidate.settings),
            threads=self._candidate.threads,
            kernels=kernels,
            model_seconds=whole,
            profiled_seconds=whole,
            runs=runs,
        )

    def _kernels(self, number: int, given: Arrays, runs: int, seconds: float) -> list[Kernel]:
        """The kernels of a stage; it as one where its engine cannot tell them apart."""
        from rooftune.execute.profile import Kernel

        one, lease = self.stages[number], self._leases[number]
        try:
            with lease.use() as model:
                found = model.profile(given, runs).scaled_to(seconds).kernels
        except Exception:  # engines raise what they like, and not every value can be given to a profiler
            if one.stage.native:
                raise
            found = (Kernel("", "stage", seconds, one.stage.nodes, "name"),)
        if not one.stage.native:
            found = tuple(replace(kernel, source_nodes=self._sources(kernel.source_nodes)) for kernel in found)
        return [replace(kernel, name=f"stage {number} {kernel.name}".rstrip()) for kernel in found]

    def _sources(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Nodes of the model given behind nodes of the rewritten one."""
        found = dict.fromkeys(before for node in nodes for before in self._origins.get(node, (node,)))
        return tuple(name for name in found if name in self._known)

    def close(self) -> None:
        for lease in self._leases:
            lease.close()


def require_inputs(arrays: Arrays, inputs: Mapping[str, TensorSpec]) -> None:
    """Raise ValueError unless these are the inputs of a model, by name."""
    if arrays.keys() != inputs.keys():
        odd = sorted(arrays.keys() ^ inputs.keys())
        raise ValueError(f"inputs are {', '.join(inputs)}; wrong or missing: {', '.join(odd)}")


def _unneeded_after(stages: Sequence[RunningStage], outputs: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """By stage the values that nobody needs once it is done, so that their memory can go."""
    last: dict[str, int] = {}
    for number, one in enumerate(stages):
        last.update(dict.fromkeys((*one.stage.outputs, *one.stage.inputs), number))
    found: list[list[str]] = [[] for _ in stages]
    for name, number in last.items():
        if name not in outputs:
            found[number].append(name)
    return [tuple(names) for names in found]
