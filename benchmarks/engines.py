"""Whole networks in fp32: ONNX Runtime, OpenVINO and our own compiler, each in a process of its own, in turns.

Networks come from the zoo with seeded weights, as PyTorch's dynamo exporter writes them by default: its own optimiser
has merged the batch normalisations, so that no engine is slowed by a graph it does not like. Every engine runs with the
settings a sensible user takes without tuning; ours chooses its schedules by measurement when it loads the model, which
is not part of the time and stands beside it. A race holds an A/A twin of ONNX Runtime: differences within what the
twins differ by say nothing. Errors are against ONNX Runtime with every optimisation off (max absolute difference /
max absolute value).

Goals, at one thread and two: error of ours ≤ 1e-5; not slower than ONNX Runtime anywhere (a loss counts when the whole
interval of the paired ratios lies below 1); VGG16 ≥ 2.35 times as fast as ONNX Runtime at one thread and ≥ 2.15 at
two, RepVGG-A0 ≥ 1.7, ResNet50 ≥ 1.2; against the best peer ≥ 1.07 on these. ncnn and PyTorch's inductor are not in the
race yet.

Writes results/engines.json, prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/engines.py [--models PATTERN ...] [--threads N ...] [--budget SECONDS]
Needs: pip install rooftune[openvino,torch] -c constraints.txt
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rooftune import zoo
from rooftune.execute.backend import find_backend
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.competitor import Entry
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.race import race
from rooftune.execute.worker import Worker
from rooftune.machine.topology import read_topology

RESULT = Path(__file__).parent / "results/engines.json"
ENGINES = ("onnxruntime", "openvino", "native")
NETWORKS = (
    "vgg16",
    "resnet18",
    "resnet50",
    "mobilenet_v1",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
    "repvgg_a0",
)
GAINS = {
    ("vgg16", 1): 2.35,
    ("vgg16", 2): 2.15,
    **{(n, t): g for n, g in (("repvgg_a0", 1.7), ("resnet50", 1.2)) for t in (1, 2)},
}
"""How many times as fast as ONNX Runtime, by network and threads."""
OVER_BEST = 1.07
TOLERANCE = 1e-5


def measure(path: Path, threads: int, budget: float) -> dict[str, Any]:
    """One network on so many threads: seconds, ratios and errors of every engine."""
    entries = [Entry(find_backend(name).default(threads), path) for name in ENGINES]
    with Worker(reference_candidate(), path) as worker:
        inputs = random_inputs(worker.loaded.inputs, seed=1)
        expected = worker.run(inputs)
    raced = race(entries, inputs, budget_seconds=budget)
    rows: dict[str, Any] = {}
    for place, (name, entry, lap) in enumerate(zip(ENGINES, entries, raced.laps, strict=True)):
        if lap.seconds is None:
            rows[name] = {"failed": lap.error[:200]}
            continue
        with Worker(entry.candidate, path) as worker:
            found = worker.run(inputs)
            load = worker.loaded.load_seconds
        error = max(float(np.abs(found[k] - v).max() / np.abs(v).max()) for k, v in expected.items())
        ratio = raced.ratio(0, place) if place else None
        rows[name] = {
            "seconds": {"median": lap.seconds.median, "low": lap.seconds.low, "high": lap.seconds.high},
            "over_onnxruntime": None
            if ratio is None
            else {"median": ratio.median, "low": ratio.low, "high": ratio.high},
            "error": error,
            "load_seconds": load,
        }
    twin = raced.twin
    return {
        "engines": rows,
        "rounds": raced.rounds,
        "twin": {"median": twin.median, "low": twin.low, "high": twin.high} if twin else None,
        "settled": raced.settled,
    }


def goals(name: str, threads: int, found: Mapping[str, Any]) -> dict[str, bool]:
    """What was to be shown, and whether it was."""
    rows, head = found["engines"], f"{name} on {threads}"
    ours = rows["native"]
    if "failed" in ours:
        return {f"{head}: it runs": False}
    ratio = ours["over_onnxruntime"]
    met = {
        "error": ours["error"] <= TOLERANCE,
        "not slower than ONNX Runtime": ratio["high"] >= 1.0,
    }
    gain = GAINS.get((name, threads))
    if gain is not None:
        best = min(rows[e]["seconds"]["median"] for e in ENGINES[:-1] if "seconds" in rows[e])
        met[f"{gain} times ONNX Runtime"] = ratio["median"] >= gain
        met[f"{OVER_BEST} times the best peer"] = best / ours["seconds"]["median"] >= OVER_BEST
    return {f"{head}: {goal}": reached for goal, reached in met.items()}


def show(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Milliseconds of a run, fp32, batch 1, on {read_topology().name}")
    for heading in ("network", "threads", *ENGINES, "native / onnxruntime", "error", "twins", "rounds"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name, counts in rows.items():
        for threads, found in counts.items():
            engines = found["engines"]
            times = [
                f"{1e3 * engines[e]['seconds']['median']:.2f}" if "seconds" in engines[e] else "-" for e in ENGINES
            ]
            ratio = engines["native"].get("over_onnxruntime")
            said = "-" if ratio is None else f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
            twin = found["twin"]
            table.add_row(
                name,
                str(threads),
                *times,
                said,
                f"{engines['native']['error']:.1e}" if "error" in engines["native"] else "-",
                f"{twin['median']:.3f}" if twin else "-",
                str(found["rounds"]),
            )
    Console(width=150).print(table)


def main() -> int:
    """Race the engines on every network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["*"], metavar="PATTERN", help="names, * and ? allowed")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, len(usable_cpus())], help="numbers of threads")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds per race")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the record")
    options = parser.parse_args()
    chosen = [n for n in NETWORKS if any(fnmatch.fnmatch(n, p) for p in options.models)]
    if not chosen:
        parser.error(f"no such network; there are {', '.join(NETWORKS)}")
    rows: dict[str, Any] = {}
    reached: dict[str, bool] = {}
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="rooftune-engines-") as folder:
            path = zoo.export(name, Path(folder) / f"{name}.onnx", fold_batchnorm=True)
            for threads in dict.fromkeys(options.threads):
                print(f"{name}, {threads} threads", file=sys.stderr, flush=True)
                rows.setdefault(name, {})[threads] = measure(path, threads, options.budget)
                reached |= goals(name, threads, rows[name][threads])
        record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": read_topology().name,
            "versions": {p: version(p) for p in ("rooftune", "onnxruntime", "openvino", "torch", "llvmlite")},
            "networks": rows,
            "goals": reached,
        }
        options.out.parent.mkdir(exist_ok=True)
        scratch = options.out.with_suffix(".tmp")
        scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        scratch.replace(options.out)
    show(rows)
    missed = [goal for goal, met in reached.items() if not met]
    print(f"{len(reached) - len(missed)} of {len(reached)} goals reached")
    for goal in missed:
        print(f"MISSED  {goal}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
