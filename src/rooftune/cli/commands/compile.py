"""`rooftune compile MODEL`: a model as machine code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from rooftune.cli.app import app
from rooftune.cli.options import (
    Batch,
    ExactnessOption,
    Json,
    ModelPath,
    Shapes,
    Threads,
    read_seconds,
    read_shapes,
)
from rooftune.cli.screen import ScreenProgress, print_json, warn
from rooftune.quantities import si


@app.command(name="compile")
def compile_(
    model: ModelPath,
    dump: Annotated[
        str | None,
        typer.Option(
            "--dump", metavar="STAGE", help="Print a stage: lowered, layout, schedule, ir, asm.", show_default=False
        ),
    ] = None,
    isa: Annotated[
        str | None,
        typer.Option(
            "--isa",
            metavar="NAME",
            help="Instruction set: avx512, avx2, sse, neon, also to look at code for another processor. "
            "Default: the widest here.",
            show_default=False,
        ),
    ] = None,
    exactness: ExactnessOption = "approximates",
    tune: Annotated[
        str,
        typer.Option(
            "--tune",
            metavar="TIME",
            help="Time for choosing kernels by measurement, such as 20s; off takes guesses. What is known costs none.",
        ),
    ] = "20s",
    threads: Threads = None,
    shape: Shapes = None,
    batch: Batch = None,
    as_json: Json = False,
) -> None:
    """Compile a model for this processor, and show what became of it: steps, and what is left to ONNX Runtime."""
    from rooftune.errors import InputError
    from rooftune.pipeline.compile import STAGES, compile_model
    from rooftune.pipeline.prepare import thread_count

    if dump is not None and dump not in STAGES:
        raise InputError(f"there is no stage {dump!r}", f"choose one of {', '.join(STAGES)}")
    compiled = compile_model(
        model,
        shapes=read_shapes(shape),
        batch=batch,
        isa=isa,
        threads=thread_count(threads),
        exactness=exactness,
        tune=0.0 if tune == "off" else read_seconds(tune, "--tune", "off"),
        machine_code=dump in (None, "asm"),
        progress=ScreenProgress(),
    )
    facts = compiled.facts()
    warn(_too_large(facts))
    if not compiled.runs_here:
        warn([f"this processor does not have {facts['isa']}: algorithms are guessed, --tune measures nothing"])
    if as_json:
        print_json(facts if dump is None else {**facts, "dump": compiled.stage(dump)})
        return
    if dump is not None:
        sys.stdout.write(compiled.stage(dump) + "\n")
        return
    took = ", ".join(f"{part} {seconds:.2f} s" for part, seconds in facts["seconds"].items())
    memory = f"arena {si(facts['arena_bytes'], 'B')}, weights {si(facts['weight_bytes'], 'B')} ({took})"
    if compiled.whole:
        print(compiled.stage("schedule"))
        print(f"\n{compiled.name}: {facts['nodes']} nodes in {len(facts['steps'])} steps for {facts['isa']}; {memory}")
        return
    nodes, predicted = facts["native_share"]["nodes"], facts["native_share"]["time"]
    time_share = "" if predicted is None else f" and {100 * predicted:.0f} % of the predicted time"
    print(compiled.overview())
    print(
        f"\n{compiled.name}: {facts['nodes']} nodes in {len(facts['stages'])} stages for {facts['isa']}, "
        f"{100 * nodes:.0f} % of them{time_share} native; {memory}"
    )


def _too_large(facts: Mapping[str, Any]) -> list[str]:
    """A warning where a compiled model needs more memory than there is."""
    from rooftune.machine.topology import read_topology

    size, limit = facts["arena_bytes"] + facts["weight_bytes"], read_topology().usable_memory_bytes
    if limit is None or size <= limit:
        return []
    return [
        f"it needs {si(size, 'B')} of memory, and this machine has {si(limit, 'B')}; compile it for smaller inputs "
        "(--batch, --shape)"
    ]
