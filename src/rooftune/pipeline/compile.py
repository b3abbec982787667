"""`rooftune compile`: a model as machine code, every stage of it to look at, and what is left to ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rooftune.compiler.describe import layout_lines, lowered_lines, schedule_lines, step_facts
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import emit_assembly
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import WIDTHS, Target, host_target, target_for
from rooftune.compiler.tune import Tuner
from rooftune.errors import InputError, MissingDependency
from rooftune.execute.divide import Divided, divide
from rooftune.execute.tuning import tuned_program, tuner_for
from rooftune.pipeline.job import read_exactness
from rooftune.pipeline.prepare import open_model, require_complete
from rooftune.protocols import Progress, SilentProgress
from rooftune.quantities import si, time_text
from rooftune.verdicts import Exactness

__all__ = ["STAGES", "Compiled", "CompiledPart", "compile_model"]

STAGES = ("lowered", "layout", "schedule", "ir", "asm")
"""What can be looked at, in the order in which it is made."""


@dataclass(frozen=True)
class CompiledPart:
    """Operations on their way to machine code, each form a value of its own.

    assembly  what the processor runs; "" where nobody asked for machine code
    """

    lowered: Lowered
    program: Program
    text: str
    assembly: str
    weight_bytes: int

    def stage(self, name: str) -> str:
        """The text of one of `STAGES`."""
        if name in ("ir", "asm"):
            return self.text if name == "ir" else self.assembly
        lines = {
            "lowered": lambda: lowered_lines(self.lowered),
            "layout": lambda: layout_lines(self.program),
            "schedule": lambda: schedule_lines(self.program),
        }[name]()
        return "\n".join(lines)


@dataclass(frozen=True)
class Compiled:
    """A model as far as it could be compiled.

    divided  its stages: which run natively, why others do not, what the cuts between them cost
    parts    what became of each stage; None for those that ONNX Runtime runs
    seconds  lowering (rewriting included), writing the programs, packing weights, and LLVM
    """

    name: str
    target: Target
    divided: Divided
    parts: tuple[CompiledPart | None, ...]
    seconds: Mapping[str, float]

    @property
    def whole(self) -> bool:
        """True where all of the model runs natively."""
        return len(self.parts) == 1 and self.parts[0] is not None

    @property
    def runs_here(self) -> bool:
        """False for an instruction set that this processor does not have: nothing of it can be measured."""
        return host_target(self.target.isa) is not None

    def stage(self, name: str) -> str:
        """The text of one of `STAGES`; that of all native parts where the model is in several.

        Raises InputError where nothing is native.
        """
        found = [(number, part) for number, part in enumerate(self.parts) if part is not None]
        if not found:
            first = self.divided.shares.refused[:1]
            why = f": {first[0].op} {first[0].node}: {first[0].reason}" if first else ""
            raise InputError(f"nothing of the model is compiled{why}", "leave --dump out to see why")
        if self.whole:
            return found[0][1].stage(name)
        mark = ";" if name == "ir" else "#"
        return "\n\n".join(f"{mark} {self._head(number)}\n{part.stage(name)}" for number, part in found)

    def overview(self) -> str:
        """Stages, cuts and reasons as lines for people."""
        shares = self.divided.shares
        lines: list[str] = []
        for number, part in enumerate(self.parts):
            if number:
                cut = shares.cuts[number - 1]
                lines.append(f"  cut: {si(cut.bytes, 'B')} packed or unpacked, {time_text(cut.seconds)} predicted")
            lines.append(self._head(number))
            lines += [] if part is None else [f"  {line}" for line in part.stage("schedule").splitlines()]
        if shares.refused:
            lines += ["", "not native:"]
            lines += [f"  {refused.op} {refused.node}: {refused.reason}" for refused in shares.refused]
        return "\n".join(lines)

    def _head(self, number: int) -> str:
        stage = self.divided.parts[number].stage
        count = f"{len(stage.nodes)} node{'s' if len(stage.nodes) > 1 else ''}"
        ends = stage.nodes[0] if len(stage.nodes) == 1 else f"{stage.nodes[0]} to {stage.nodes[-1]}"
        return f"stage {number}: {'native' if stage.native else 'ONNX Runtime'}, {count}: {ends}"

    def facts(self) -> dict[str, Any]:
        """What `--json` prints."""
        made = [(number, part) for number, part in enumerate(self.parts) if part is not None]
        return {
            "model": self.name,
            "isa": self.target.isa,
            "nodes": sum(len(part.stage.nodes) for part in self.divided.parts),
            **self.divided.shares.to_json(),
            "stages": [
                {
                    "native": part.stage.native,
                    "nodes": list(part.stage.nodes),
                    "inputs": list(part.stage.inputs),
                    "outputs": list(part.stage.outputs),
                }
                for part in self.divided.parts
            ],
            "steps": [{"stage": number, **step} for number, part in made for step in step_facts(part.program)],
            "arena_bytes": sum(part.program.arena for _, part in made),
            "weight_bytes": sum(part.weight_bytes for _, part in made),
            "seconds": dict(self.seconds),
        }


def compile_model(
    source: Any,
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    isa: str | None = None,
    threads: int = 1,
    exactness: str = "approximates",
    tune: float = 0.0,
    machine_code: bool = True,
    progress: Progress | None = None,
) -> Compiled:
    """Compile a model for this processor, as far as there are kernels and as far as that pays.

    isa           instruction set to write for, a key of `compiler.target.WIDTHS`; default the widest there is. For one
                  that this processor does not have, schedules are guessed
    threads       how many will run it: schedules are chosen for them
    exactness     `reassociates` for convolutions as they are written only, `approximates` for Winograd's too
    tune          seconds for choosing schedules by measurement; what was measured before costs nothing. 0: guesses
    machine_code  False stops before LLVM

    Raises InputError for models of open sizes and those that cannot be cut where it would be needed;
    MissingDependency where there are no kernels for the processor.
    """
    report = progress or SilentProgress()
    if isa is not None and isa not in WIDTHS:
        raise InputError(f"no instruction set is called {isa!r}", f"choose one of {', '.join(WIDTHS)}")
    winograd = read_exactness(exactness) is Exactness.APPROXIMATES
    target = host_target(threads=threads) if isa is None else target_for(isa, threads)
    if target is None:
        raise MissingDependency(
            "there are no kernels for this processor", "the other backends run here: see `rooftune doctor`"
        )
    model = open_model(source, shapes=shapes, batch=batch)
    require_complete(model, data=False)
    seconds = dict.fromkeys(("lower", "program", "pack", "llvm"), 0.0)
    with report.stage("lowering"):
        started = time.perf_counter()
        try:
            divided = divide(model)
        except ValueError as why:
            raise InputError(
                f"the model cannot be compiled: {why}", "run it with another engine: `rooftune optimize` chooses one"
            ) from why
        seconds["lower"] = time.perf_counter() - started
    tuner = tuner_for(target, tune) if tune > 0 and host_target(target.isa) is not None else None
    parts = tuple(
        None if p.lowered is None else _compiled(p.lowered, target, winograd, tuner, machine_code, seconds, report)
        for p in divided.parts
    )
    return Compiled(model.path.stem if model.path else "model", target, divided, parts, seconds)


def _compiled(
    lowered: Lowered,
    target: Target,
    winograd: bool,
    tuner: Tuner | None,
    machine_code: bool,
    seconds: dict[str, float],
    report: Progress,
) -> CompiledPart:
    """Compile operations, adding what each step takes to `seconds`."""
    clock = [time.perf_counter()]
    with report.stage("writing the program" if tuner is None else "measuring kernels"):
        if tuner is None:
            program = build(lowered, target, winograd=winograd)
        else:
            program = tuned_program(lowered, target, tuner, winograd=winograd)
    clock.append(time.perf_counter())
    with report.stage("packing weights"):
        packed, places = program.pack()
        text = program.text(places)
    clock.append(time.perf_counter())
    assembly = ""
    if machine_code:
        with report.stage("compiling"):
            assembly = emit_assembly(text, target.triple, target.features)
    clock.append(time.perf_counter())
    for name, start, end in zip(("program", "pack", "llvm"), clock, clock[1:], strict=False):
        seconds[name] += end - start
    return CompiledPart(lowered, program, text, assembly, int(packed.nbytes))
