"""Our own compiler: models as one program for the processor at hand, or in stages where it does not take everything."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rooftune.errors import MissingDependency
from rooftune.execute.backend import Candidate, LoadedModel, ModelFacts, TensorSpec
from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME
from rooftune.execute.backends.onnxruntime import OnnxRuntimeModel
from rooftune.protocols import Arrays
from rooftune.verdicts import Exactness, Refusal

if TYPE_CHECKING:
    from rooftune.compiler.lowering import Lowered
    from rooftune.compiler.program import Step
    from rooftune.compiler.target import Target
    from rooftune.compiler.tune import Tuner
    from rooftune.execute.divide import Divided, Shares
    from rooftune.execute.open_sizes import OpenSizesModel
    from rooftune.execute.partitioned import PartitionedModel, RunningStage
    from rooftune.execute.profile import Algorithm, Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "Elsewhere", "Native", "NativeModel"]

_TUNE_SECONDS = 40.0
"""Time for choosing schedules by measurement when a model is compiled; what was measured before costs nothing."""


class Native:
    """Models in fp32, compiled; what there is no kernel for runs in ONNX Runtime, stage by stage."""

    name = "native"
    peer = False

    def available(self) -> Refusal | None:
        if importlib.util.find_spec("llvmlite") is None:
            return Refusal("not installed: pip install llvmlite", at=self.name)
        from rooftune.compiler.target import host_target

        try:
            return None if host_target() is not None else Refusal("no kernels for this processor", at=self.name)
        except MissingDependency as why:
            return Refusal(f"{why.cause}: {why.remedy}", at=self.name)

    def version(self) -> str:
        return importlib.metadata.version("rooftune")

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        settings = {"winograd": True, "tune_seconds": _TUNE_SECONDS}
        return Candidate("native", settings, threads, label="winograd", exactness=Exactness.APPROXIMATES)

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        # each variant of a model goes on measuring where the last one stopped
        seconds = min(_TUNE_SECONDS, facts.budget / 3) if facts is not None else _TUNE_SECONDS
        first = self.default(threads, objective)
        plain = Candidate("native", {"winograd": False, "tune_seconds": seconds}, threads, label="direct")
        return [replace(first, settings={**first.settings, "tune_seconds": seconds}), plain]

    def refuses(self, model: Model) -> Refusal | None:
        """Why nothing at all of a model would run natively, so that another engine would run it; None otherwise.

        Of a model of open sizes nobody can say before it is asked for some.
        """
        from rooftune.compiler.target import host_target
        from rooftune.execute.divide import Divided

        if host_target() is None:
            return Refusal("there are no kernels for this processor")
        if model.open_dimensions:
            return None
        found = _divided(model, self.default(1))
        return None if isinstance(found, Divided) else _first_reason(found)

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> LoadedModel:
        """A model that is compiled as far as it can be.

        Settings beside those of `default`: `isa` compiles for a narrower instruction set. `partition` False cuts no
        model into stages: what cannot be compiled as a whole runs in ONNX Runtime; `always` cuts wherever that lets
        something run natively, whether it pays or not.
        """
        from rooftune.execute.divide import Shares
        from rooftune.graph.load import load

        model = load(model_path, shapes=input_shapes)
        if model.open_dimensions:
            return _of_open_sizes(model, model_path, candidate)
        found = _compiled(model, candidate)
        if isinstance(found, Shares):
            return Elsewhere(model_path, ONNXRUNTIME.default(candidate.threads), found)
        return found

    def load_open(self, model_path: Path, candidate: Candidate, first: Mapping[str, Sequence[int]]) -> LoadedModel:
        """A model that is compiled for some sizes at once, and takes others too where its sizes are open."""
        from rooftune.graph.load import load

        model = load(model_path)
        if not model.open_dimensions:
            return self.load(model_path, candidate, first)
        found = _of_open_sizes(model, model_path, candidate)
        try:
            found.prepare(first, lambda shapes: _compiled_for(model_path, candidate, shapes))
        except BaseException:
            found.close()
            raise
        return found


class NativeModel:
    """A compiled program, with arrays in and arrays out."""

    def __init__(
        self,
        model: Model,
        lowered: Lowered,
        origins: Mapping[str, tuple[str, ...]],
        candidate: Candidate,
        tuner: Tuner | None = None,
        *,
        alone: bool = True,
    ) -> None:
        """Compile operations.

        model    the one given, whose nodes profiles speak of; `origins` says which of them stand behind others
        tuner    chooses schedules; by default one that may spend the candidate's `tune_seconds`
        alone    False for a stage among others: its threads soon leave their cores to the next one's
        """
        from rooftune.execute.code_store import CodeStore
        from rooftune.execute.divide import Shares
        from rooftune.execute.native_program import SPINS, NativeProgram, pages
        from rooftune.execute.tuning import tuned_program

        held: list[int] = []

        def memory(size: int) -> NDArray[np.uint8]:
            held.append(size)
            return pages(size)

        self.shares = Shares(1.0, 1.0)
        self._candidate, self._origins = candidate, origins
        self._known = {node.name or "" for node in model.nodes}
        winograd = bool(candidate.settings.get("winograd", True))
        program = tuned_program(lowered, _target(candidate), tuner or _tuner(candidate), winograd=winograd)
        self._program = NativeProgram(program, memory, store=CodeStore(), spins=SPINS if alone else SPINS // 10)
        self.memory_bytes = sum(held)
        self.inputs = {name: TensorSpec(program.dtype(name), program.dims[name]) for name in program.inputs}
        self.outputs = {name: TensorSpec("float32", program.dims[name]) for name in program.outputs}

    def run(self, arrays: Arrays) -> dict[str, Any]:
        from rooftune.execute.partitioned import require_inputs

        require_inputs(arrays, self.inputs)
        for name, spec in self.inputs.items():
            array = arrays[name]
            if array.dtype != spec.dtype or array.shape != spec.shape:
                raise ValueError(
                    f"input {name} is {array.dtype}{list(array.shape)}, expected {spec.dtype}{list(spec.shape)}"
                )
        return dict(self._program.run(arrays))

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """Every step with its share of the run, by the processor's counter, which costs next to nothing."""
        from rooftune.execute.native_program import step_seconds
        from rooftune.execute.profile import Kernel, assemble_profile

        seconds: list[float] = []
        rounds: list[list[float]] = []
        for _ in range(max(1, runs)):
            start = time.perf_counter()
            self.run(arrays)
            seconds.append(time.perf_counter() - start)
            rounds.append([share * seconds[-1] for share in self._program.phase_shares()])
        whole = statistics.median(seconds)
        steps = self._program.program.steps
        # seconds, not shares: a run that was held up says little of most steps, but much of its whole
        taken = step_seconds(self._program.program, rounds)
        scale = whole / (sum(taken) or 1.0)
        kernels = []
        for number, step in enumerate(steps):
            nodes = tuple(dict.fromkeys(n for node in _worked_for(steps, number) for n in self._sources(node)))
            name = step.phases[0].function.name
            how = "name" if step.nodes else "layout"
            kernels.append(Kernel(name, step.kernel, taken[number] * scale, nodes, how, _algorithm(step)))
        return assemble_profile(
            backend="native",
            settings=dict(self._candidate.settings),
            threads=self._candidate.threads,
            kernels=kernels,
            model_seconds=whole,
            profiled_seconds=whole,
            runs=runs,
        )

    def _sources(self, node: str) -> tuple[str, ...]:
        """Nodes of the model given that a node of the rewritten one computes."""
        return tuple(n for n in self._origins.get(node, (node,)) if n in self._known)

    def close(self) -> None:
        self._program.close()


class Elsewhere(OnnxRuntimeModel):
    """A model that ONNX Runtime runs as it is; `shares` says why."""

    def __init__(self, model_path: Path, candidate: Candidate, shares: Shares) -> None:
        """Load a model with a candidate of ONNX Runtime's."""
        super().__init__(model_path, candidate)
        self.shares = shares


def _worked_for(steps: Sequence[Step], number: int) -> tuple[str, ...]:
    """The nodes of a step; for one that only packs, clears or unpacks, those of the next or the last on its values."""
    own = steps[number]
    if own.nodes:
        return own.nodes
    values = _values(own)
    around = (*steps[number + 1 :], *reversed(steps[:number]))
    return next((step.nodes for step in around if step.nodes and values & _values(step)), ())


def _values(step: Step) -> set[str]:
    return {operand.name for phase in step.phases for operand in phase.operands if operand.kind == "value"}


def _target(candidate: Candidate) -> Target:
    from rooftune.compiler.target import host_target

    target = host_target(candidate.settings.get("isa"), candidate.threads)
    if target is None:
        raise RuntimeError("there are no kernels for this processor")
    return target


def _tuner(candidate: Candidate) -> Tuner:
    from rooftune.execute.tuning import tuner_for

    return tuner_for(_target(candidate), float(candidate.settings.get("tune_seconds", 0.0)))


def _divided(model: Model, candidate: Candidate) -> Divided | Shares:
    """The stages of a model of known sizes; what is in the way where none of them would run natively."""
    from rooftune.execute.divide import divide

    cutting = candidate.settings.get("partition", True)
    try:
        found = divide(model, candidate.threads, give_back=cutting != "always")
    except ValueError as why:
        return _all_elsewhere(f"the model cannot be cut: {why}")
    if not found.native or not (found.whole or cutting):
        return replace(found.shares, nodes=0.0, time=0.0, cuts=())
    return found


def _all_elsewhere(reason: str) -> Shares:
    from rooftune.execute.divide import NotNative, Shares

    return Shares(0.0, 0.0, (NotNative("", "", reason),))


def _first_reason(shares: Shares) -> Refusal:
    if not shares.refused:
        return Refusal("it computes nothing")
    first = shares.refused[0]
    return Refusal(f"{first.op} {first.node}: {first.reason}" if first.node else first.reason, first.node)


def _compiled(model: Model, candidate: Candidate) -> NativeModel | PartitionedModel | Shares:
    """A model of known sizes, compiled as far as it can be; what is in the way where that is not at all."""
    from rooftune.execute.divide import Divided
    from rooftune.execute.partitioned import PartitionedModel

    found = _divided(model, candidate)
    if not isinstance(found, Divided):
        return found
    first = found.parts[0]
    if found.whole and first.lowered is not None:
        return NativeModel(model, first.lowered, found.origins, candidate)
    stages = _loaded(found, model, candidate)
    if isinstance(stages, str):
        return _all_elsewhere(f"the model cannot be cut: {stages}")
    return PartitionedModel(found, stages, candidate, frozenset(node.name or "" for node in model.nodes))


def _loaded(found: Divided, model: Model, candidate: Candidate) -> list[RunningStage] | str:
    """Every stage loaded; where ONNX Runtime does not take one as a model of its own, what it says."""
    from rooftune.execute.fallback import FallbackStage, fallback_candidate
    from rooftune.execute.partitioned import RunningStage

    tuner = _tuner(candidate)
    stages: list[RunningStage] = []
    for part in found.parts:
        if part.lowered is not None:
            native = NativeModel(model, part.lowered, found.origins, candidate, tuner, alone=False)
            stages.append(RunningStage(part.stage, native))
            continue
        try:
            stages.append(RunningStage(part.stage, FallbackStage(part.model, fallback_candidate(candidate.threads))))
        except Exception as why:  # the engine raises what it likes
            for stage in stages:
                stage.model.close()
            return " ".join(str(why).split())
    return stages


def _of_open_sizes(model: Model, model_path: Path, candidate: Candidate) -> OpenSizesModel:
    from rooftune.execute.fallback import fallback_candidate
    from rooftune.execute.open_sizes import OpenSizesModel

    files = [model_path, *(model_path.parent / name for name in model.data_files)]
    as_loaded = _marks(files)
    # requests run beside it: measuring would disturb them, and they the measurements, which are kept
    untimed = replace(candidate, settings={**candidate.settings, "tune_seconds": 0.0})

    def compile_sizes(shapes: Mapping[str, tuple[int, ...]]) -> NativeModel | PartitionedModel | Refusal:
        if _marks(files) != as_loaded:
            return Refusal("the model's file is another one now")
        return _compiled_for(model_path, untimed, shapes)

    at_first = _all_elsewhere(f"{_open_text(model)}: what comes often is compiled")
    return OpenSizesModel(Elsewhere(model_path, fallback_candidate(candidate.threads), at_first), compile_sizes)


def _compiled_for(
    model_path: Path, candidate: Candidate, shapes: Mapping[str, Sequence[int]]
) -> NativeModel | PartitionedModel | Refusal:
    from rooftune.execute.divide import Shares
    from rooftune.graph.load import load

    found = _compiled(load(model_path, shapes=shapes), candidate)
    return _first_reason(found) if isinstance(found, Shares) else found


def _open_text(model: Model) -> str:
    return f"the sizes {', '.join(model.open_dimensions)} are open"


def _marks(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    """What tells a file from another that takes its place."""
    found = [file.stat() if file.exists() else None for file in files]
    return [None if s is None else (s.st_ino, s.st_size, s.st_mtime_ns) for s in found]


_MOST_COMPARED = 6


def _algorithm(step: Step) -> Algorithm | None:
    """Why a step is computed as it is; None where there was no choice."""
    from rooftune.compiler.choose import said
    from rooftune.execute.profile import Algorithm, Compared

    if step.schedule is None:
        return None
    ranked = [r for r in step.others if r.measured] or list(step.others)
    shown = [r for i, r in enumerate(ranked) if i < _MOST_COMPARED or r.schedule == step.schedule]
    compared = tuple(Compared(said(r.schedule), r.seconds, r.measured, 4 * r.floats) for r in shown)
    return Algorithm(said(step.schedule), step.arithmetic, compared)


BACKEND = Native()
