"""`rooftune compile`: a model as machine code, every stage of it to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rooftune.compiler.describe import layout_lines, lowered_lines, schedule_lines, step_facts
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import compile_code
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import WIDTHS, host_target
from rooftune.errors import InputError, MissingDependency
from rooftune.execute.backends.native import lowered_model
from rooftune.pipeline.prepare import open_model, require_complete
from rooftune.protocols import Progress, SilentProgress
from rooftune.verdicts import Refusal

__all__ = ["STAGES", "Compiled", "compile_model"]

STAGES = ("lowered", "layout", "schedule", "ir", "asm")
"""What can be looked at, in the order in which it is made."""


@dataclass(frozen=True)
class Compiled:
    """A model on its way to machine code, each stage a value of its own.

    assembly  what the processor runs; "" where nobody asked for machine code
    seconds   lowering (rewriting included), writing the program, packing weights, and LLVM
    """

    name: str
    lowered: Lowered
    program: Program
    text: str
    assembly: str
    weight_bytes: int
    seconds: Mapping[str, float]

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

    def facts(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "model": self.name,
            "isa": self.program.target.isa,
            "native_share": 1.0,
            "nodes": self.lowered.nodes,
            "steps": step_facts(self.program),
            "arena_bytes": self.program.arena,
            "weight_bytes": self.weight_bytes,
            "scratch_bytes": self.program.scratch_bytes(1),
            "seconds": dict(self.seconds),
        }


def compile_model(
    source: Any,
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    isa: str | None = None,
    winograd: bool = True,
    machine_code: bool = True,
    progress: Progress | None = None,
) -> Compiled:
    """Compile a model for this processor.

    isa           instruction set to write for, a key of `compiler.target.WIDTHS`; default the widest there is
    winograd      False for convolutions as they are written only
    machine_code  False stops before LLVM

    Raises InputError for models with anything there is no kernel for, and says what; MissingDependency where there
    are no kernels for the processor.
    """
    report = progress or SilentProgress()
    if isa is not None and isa not in WIDTHS:
        raise InputError(f"no instruction set is called {isa!r}", f"choose one of {', '.join(WIDTHS)}")
    target = host_target(isa)
    if target is None:
        raise MissingDependency(
            f"this processor does not have {isa}" if isa else "there are no kernels for this processor",
            "the other backends run here: see `rooftune doctor`",
        )
    model = open_model(source, shapes=shapes, batch=batch)
    require_complete(model)
    clock = [time.perf_counter()]
    with report.stage("lowering"):
        found = lowered_model(model)
    if isinstance(found, Refusal):
        raise InputError(
            f"the model cannot be compiled: {found.reason}",
            "run it with another engine: `rooftune optimize` chooses one",
        )
    clock.append(time.perf_counter())
    with report.stage("writing the program"):
        program = build(found[0], target, winograd=winograd)
    clock.append(time.perf_counter())
    with report.stage("packing weights"):
        packed, places = program.pack()
        text = program.text(places)
    clock.append(time.perf_counter())
    assembly = ""
    if machine_code:
        with report.stage("compiling"):
            assembly = compile_code(text, target.features).assembly
    clock.append(time.perf_counter())
    parts = ("lower", "program", "pack", "llvm")
    seconds = {part: b - a for part, a, b in zip(parts, clock, clock[1:], strict=False)}
    name = model.path.stem if model.path else "model"
    return Compiled(name, found[0], program, text, assembly, int(packed.nbytes), seconds)
