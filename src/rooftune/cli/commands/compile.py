"""`rooftune compile MODEL`: a model as machine code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rooftune.cli.app import app
from rooftune.cli.options import Batch, Json, ModelPath, Shapes, read_shapes
from rooftune.cli.screen import ScreenProgress, print_json


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
            help="Instruction set: avx512, avx2, sse, neon. Default: the widest here.",
            show_default=False,
        ),
    ] = None,
    direct: Annotated[bool, typer.Option("--direct", help="No Winograd: convolutions as they are written.")] = False,
    shape: Shapes = None,
    batch: Batch = None,
    as_json: Json = False,
) -> None:
    """Compile a model for this processor, and show what became of it."""
    from rooftune.errors import InputError
    from rooftune.pipeline.compile import STAGES, compile_model

    if dump is not None and dump not in STAGES:
        raise InputError(f"there is no stage {dump!r}", f"choose one of {', '.join(STAGES)}")
    compiled = compile_model(
        model,
        shapes=read_shapes(shape),
        batch=batch,
        isa=isa,
        winograd=not direct,
        machine_code=dump in (None, "asm"),
        progress=ScreenProgress(),
    )
    if as_json:
        facts = compiled.facts()
        print_json(facts if dump is None else {**facts, "dump": compiled.stage(dump)})
        return
    if dump is not None:
        sys.stdout.write(compiled.stage(dump) + "\n")
        return
    facts = compiled.facts()
    took = ", ".join(f"{part} {seconds:.2f} s" for part, seconds in facts["seconds"].items())
    print(compiled.stage("schedule"))
    print()
    print(
        f"{compiled.name}: {facts['nodes']} nodes in {len(facts['steps'])} steps for {facts['isa']}; "
        f"arena {facts['arena_bytes'] / 1e6:.1f} MB, weights {facts['weight_bytes'] / 1e6:.1f} MB ({took})"
    )
