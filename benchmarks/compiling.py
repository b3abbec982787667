"""What compiling a network costs: seconds until it runs, bytes of memory while it runs, bytes of packed weights.

Networks come from the zoo with seeded weights. A process of its own loads a network, runs it three times, and says how
long loading took and by how many bytes the runs let its anonymous memory grow: that is what the activations take, since
weights were packed while loading (ONNX Runtime plans its memory in the first run and keeps more from the second on;
`first_bytes` is what the first run alone took). ONNX Runtime has its defaults; ours is loaded three times, each in a
new process: `tuned` with nothing remembered (schedules are measured), `again` with what the first remembered (its
machine code too), and `guessed` with nothing remembered and without any measurement.

Goals: ResNet50 loads within 60 s tuned and 20 s guessed; on every network the arena (scratch included) takes no more
than ONNX Runtime's activations, and packed weights take at most 1.3 times the bytes of the model's.

Writes results/compiling.json (with --quick nothing unless --out says where), prints a table, and ends with 1 and the
list of what was missed.

Usage: python benchmarks/compiling.py [--only PATTERN ...] [--threads N] [--quick]
Needs: pip install rooftune[torch,bench] -c constraints.txt, and Linux
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from engines import NETWORKS
from goals import conclude
from record import write_record

from rooftune import zoo
from rooftune.execute.backend import find_backend
from rooftune.execute.placement import usable_cpus
from rooftune.graph.load import load
from rooftune.machine.topology import read_topology
from rooftune.pipeline.compile import compile_model

RESULTS = Path(__file__).parent / "results"
BASELINE, OURS = "onnxruntime", "native"
LIMITS = {("resnet50", "tuned"): 60.0, ("resnet50", "guessed"): 20.0}
"""Seconds in which a network is to be loaded."""
MOST_WEIGHTS = 1.3
RUNS = 3
LOADS = {"tuned": {}, "again": {}, "guessed": {"tune_seconds": 0.0}}
"""Ways to load with our compiler: settings beside its default ones. The order matters: the first remembers."""


# --- in a process of its own ----------------------------------------------------------------------------------------


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind, in bytes."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    (line,) = [line for line in text.splitlines() if line.startswith("Anonymous:")]
    return int(line.split()[1]) << 10


def load_and_run(engine: str, path: Path, threads: int, settings: Mapping[str, Any]) -> dict[str, float]:
    """Load a model and run it: seconds, and the bytes by which memory grew."""
    backend = find_backend(engine)
    candidate = backend.default(threads)
    candidate = replace(candidate, settings={**candidate.settings, **settings})
    started = time.perf_counter()
    loaded = backend.load(path, candidate)
    load_seconds = time.perf_counter() - started
    shapes = {name: tuple(int(d) for d in spec.shape) for name, spec in loaded.inputs.items()}
    inputs = {name: np.random.default_rng(0).standard_normal(shape, np.float32) for name, shape in shapes.items()}
    before = anonymous_bytes()
    for number in range(RUNS):
        made = sum(array.nbytes for array in loaded.run(inputs).values())
        if number == 0:
            first = anonymous_bytes() - before - made
    grown = anonymous_bytes() - before
    loaded.close()
    return {"load_seconds": load_seconds, "first_bytes": first, "grown_bytes": grown}


def apart(engine: str, path: Path, threads: int, settings: Mapping[str, Any], home: Path) -> dict[str, float]:
    """`load_and_run` in a new process that remembers in a folder of its own."""
    command = [sys.executable, __file__, "--child", engine, str(path), str(threads), json.dumps(settings)]
    # what is freed while loading goes back to the system at once, so that runs cannot hide in it
    surroundings = {**os.environ, "ROOFTUNE_HOME": str(home), "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} on {path.stem}: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


# --- one network ----------------------------------------------------------------------------------------------------


def run(network: str, threads: int, folder: Path) -> dict[str, Any]:
    """What compiling a network costs."""
    path = zoo.export(network, folder / f"{network}.onnx", seed=0, fold_batchnorm=True)
    home = folder / f"{network}-home"
    print(f"{network}: onnxruntime", file=sys.stderr, flush=True)
    found: dict[str, Any] = {BASELINE: apart(BASELINE, path, threads, {}, home)}
    for way, settings in LOADS.items():
        print(f"{network}: native, {way}", file=sys.stderr, flush=True)
        fresh = folder / f"{network}-guessed-home"
        found[way] = apart(OURS, path, threads, settings, fresh if way == "guessed" else home)
    os.environ["ROOFTUNE_HOME"] = str(home)
    # no time to measure: what the first process remembered
    facts = compile_model(path, threads=threads, tune=1e-9, machine_code=False).facts()
    weights = [value.const_value for value in load(path).ir.graph.initializers.values()]
    return {
        **found,
        "arena_bytes": facts["arena_bytes"],
        "weight_bytes": facts["weight_bytes"],
        "model_weight_bytes": sum(tensor.nbytes for tensor in weights if tensor is not None),
    }


def goals(network: str, found: Mapping[str, Any]) -> dict[str, bool]:
    """What was to be shown on one network, and whether it was."""
    reached: dict[str, bool] = {}
    for way in LOADS:
        if limit := LIMITS.get((network, way)):
            seconds = found[way]["load_seconds"]
            reached[f"{network}: loaded {way} within {limit:g} s, {seconds:.1f}"] = seconds <= limit
    arena, theirs = found["arena_bytes"] / 1e6, found[BASELINE]["grown_bytes"] / 1e6
    reached[f"{network}: arena of {arena:.1f} MB, ONNX Runtime's activations {theirs:.1f}"] = arena <= theirs
    ratio = found["weight_bytes"] / found["model_weight_bytes"]
    reached[f"{network}: packed weights {ratio:.2f} times the model's"] = ratio <= MOST_WEIGHTS
    return reached


def show(rows: Mapping[str, Mapping[str, Any]], threads: int) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Compiling for {threads} thread{'s' if threads > 1 else ''} on {read_topology().name}")
    table.add_column("network")
    for heading in (*(f"{way}, s" for way in LOADS), "arena, MB", "grown, MB", "ONNX Runtime, MB", "weights"):
        table.add_column(heading, justify="right")
    for network, found in rows.items():
        table.add_row(
            network,
            *(f"{found[way]['load_seconds']:.1f}" for way in LOADS),
            f"{found['arena_bytes'] / 1e6:.1f}",
            f"{found['guessed']['grown_bytes'] / 1e6:.1f}",
            f"{found[BASELINE]['grown_bytes'] / 1e6:.1f}",
            f"{found['weight_bytes'] / found['model_weight_bytes']:.2f}×",
        )
    Console(width=120).print(table)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="networks of the zoo, * and ? allowed")
    parser.add_argument("--threads", type=int, default=len(usable_cpus()), help="threads of every engine")
    parser.add_argument("--quick", action="store_true", help="the smallest network: to see that everything runs")
    parser.add_argument("--out", type=Path, help="file of the record")
    parser.add_argument("--json", action="store_true", help="print the record instead of the table")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads < 1:
        parser.error("at least one thread is needed")
    patterns = options.only or (["shufflenet_v2_x1_0"] if options.quick else NETWORKS)
    options.networks = [name for name in zoo.names() if any(fnmatch.fnmatch(name, p) for p in patterns)]
    if not options.networks:
        parser.error(f"no such network; there are {', '.join(zoo.names())}")
    if options.out is None and not options.quick:
        options.out = RESULTS / "compiling.json"
    return options


def main() -> int:
    """Compile every network and compare."""
    options = parse()
    if options.child:
        engine, path, threads, settings = options.child
        print(json.dumps(load_and_run(engine, Path(path), int(threads), json.loads(settings))))
        return 0
    rows: dict[str, Any] = {}
    reached: dict[str, bool] = {}
    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rooftune-compiling-") as folder:
        for network in options.networks:
            rows[network] = run(network, options.threads, Path(folder))
            reached |= goals(network, rows[network])
            record = {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": read_topology().name,
                "versions": {name: version(name) for name in ("llvmlite", "onnxruntime")},
                "threads": options.threads,
                "networks": rows,
                "goals": reached,
            }
            if options.out is not None:
                write_record(options.out, record)
    return conclude(record, options.json, lambda: show(rows, options.threads))


if __name__ == "__main__":
    sys.exit(main())
