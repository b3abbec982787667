"""What a small compiled network costs where threads find no core of their own.

The digits network of the examples runs on one and on two threads, compiled and in ONNX Runtime (its defaults), each in
its own process, in turns: with two cores for itself, bound to one core, and with a busy process on one of the two
cores. A turn gives the median and the 99th percentile of its runs; the table shows medians over the turns.

Goals, of the compiled network on two threads: with all bound to one core, at most 1.5 times what one thread takes
there; beside a busy process, at most 1.5 times what one thread takes beside it.

Writes results/crowded.json, prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/crowded.py [--rounds 5] [--seconds 1]
Needs: two cores, and a system that binds processes to cores (Linux)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from goals import conclude
from record import write_record

from rooftune.cli.screen import print_json
from rooftune.execute.backend import find_backend
from rooftune.machine.topology import read_topology

RESULTS = Path(__file__).parent / "results"
MODEL = Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx"
ENGINES = ("native", "onnxruntime")
PLACES = ("free", "one core", "busy neighbour")
IMAGE = (1, 1, 32, 32)
MOST = 1.5
WARM_SECONDS = 0.3

Row = dict[str, float]


def timed(engine: str, threads: int, seconds: float) -> Row:
    """Microseconds per run in this process: median and 99th percentile."""
    candidate = find_backend(engine).default(threads)
    model = find_backend(engine).load(MODEL, candidate, {"images": IMAGE})
    try:
        feed = {"images": np.random.default_rng(0).standard_normal(IMAGE, np.float32)}
        taken: list[float] = []
        started = time.perf_counter()
        while (now := time.perf_counter()) < started + WARM_SECONDS + seconds:
            model.run(feed)
            if now > started + WARM_SECONDS:
                taken.append(1e6 * (time.perf_counter() - now))
    finally:
        model.close()
    return {"median": statistics.median(taken), "p99": float(np.percentile(taken, 99)), "runs": len(taken)}


@contextmanager
def neighbour(core: int | None) -> Iterator[None]:
    """A process that never rests, bound to a core; None for nobody."""
    if core is None:
        yield
        return
    endless = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", endless])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(engine: str, threads: int, place: str, cores: list[int], seconds: float) -> Row:
    """One turn in a process of its own."""
    bound = cores[:1] if place == "one core" else cores
    command = [sys.executable, __file__, "--turn", engine, str(threads), "--seconds", str(seconds)]
    with neighbour(cores[1] if place == "busy neighbour" else None):
        done = subprocess.run(
            [*command, "--cores", *map(str, bound)], capture_output=True, text=True, check=True, timeout=300
        )
    found: Row = json.loads(done.stdout)
    return found


def show(rows: dict[str, Row]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Digits network, µs per run: median (99th percentile)")
    for heading in ("engine, threads", *PLACES):
        table.add_column(heading, justify="left" if heading.startswith("engine") else "right")
    for engine in ENGINES:
        for threads in (1, 2):
            cells = [rows[f"{engine}, {threads}, {place}"] for place in PLACES]
            texts = [f"{c['median']:.0f} ({c['p99']:.0f})" for c in cells]
            table.add_row(f"{engine}, {threads}", *texts)
    Console(width=100).print(table)


def main() -> int:
    """Measure, record, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of everybody")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--out", type=Path, default=RESULTS / "crowded.json", help="file of the record")
    parser.add_argument("--json", action="store_true", help="print the record instead of the table")
    parser.add_argument("--turn", nargs=2, metavar=("ENGINE", "THREADS"), help=argparse.SUPPRESS)
    parser.add_argument("--cores", nargs="*", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not hasattr(os, "sched_setaffinity"):
        parser.error("this system does not bind processes to cores; Linux does")
    if args.turn:
        os.sched_setaffinity(0, args.cores)
        print_json(timed(args.turn[0], int(args.turn[1]), args.seconds))
        return 0
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error(f"it takes two cores, and this process may use {len(cores)}")
    turns: dict[str, list[Row]] = {}
    for number in range(args.rounds):
        for place in PLACES:
            for engine in ENGINES:
                for threads in (1, 2):
                    name = f"{engine}, {threads}, {place}"
                    turns.setdefault(name, []).append(measure(engine, threads, place, cores, args.seconds))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
    rows = {
        name: {key: statistics.median(turn[key] for turn in found) for key in found[0]} for name, found in turns.items()
    }
    reached = {}
    for place in PLACES[1:]:
        two, one = (rows[f"native, {threads}, {place}"]["median"] for threads in (2, 1))
        reached[f"{place}: two threads within {MOST} times one, {two:.0f} and {one:.0f} µs"] = two <= MOST * one
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": read_topology().name,
        "versions": {name: version(name) for name in ("rooftune", "onnxruntime")},
        "rounds": args.rounds,
        "microseconds": rows,
        "goals": reached,
    }
    write_record(args.out, record)
    return conclude(record, args.json, lambda: show(rows))


if __name__ == "__main__":
    sys.exit(main())
