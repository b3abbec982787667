"""How small and fast each rewriter makes a model, how long it takes, and whether the model is still the same.

Contenders (see rewrite_contenders.py), each from file to file in a process of its own, in turns, imports excluded:
  rooftune        load, rewrite with the default rules for this machine's stored ceilings (else a catalog machine, so
                  that nothing is probed), save; `rooftune again` is its twin and shows what a difference is worth
  onnxslim, onnxsim, onnxoptimizer (its fuse and eliminate passes until nothing changes), onnxscript (its optimiser)
  onnxruntime     the extended level saved to a file: full of operators of its own, shown and not compared
Models (see rewrite_models.py): the light models of the onnx wheel and exports of PyTorch by both exporters.

Of every result: nodes (all of them, and without Constant nodes; subgraphs and functions included), bytes, activations
at their peak and predicted seconds by our analysis, whether ONNX's checker accepts it, whether it stays in the standard
domain, and the error against the original, both run by ONNX Runtime without optimisation on two random inputs (max
absolute difference / max absolute value). Of ours besides: the proof `rooftune rewrite --check` gives, of every value
that lives on, in the tolerance of the exactness its rules declare. Unless --quick: latency in ONNX Runtime (all) and
OpenVINO (f32), raced in turns in processes of their own. A tool that refuses a model or crashes on it is a result.

Goals, per model: ours is equal (in our own proof, and in the error of this script), standard and accepted; has no more
nodes than any peer that is right and standard (without Constant nodes: whether a number is a node or an initialiser is
a matter of notation), is predicted no slower than any of these, and takes no longer to make than onnxslim's. RepVGG in
train form becomes one convolution per block; DenseNet, Inception and ShuffleNet of the wheel lose what was around their
batch normalisations.

Writes results/rewrites.json, prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/rewrites.py [--models PATTERN ...] [--quick] [--rounds N]
Needs: pip install rooftune[openvino,torch,bench] -c constraints.txt
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from goals import judge
from record import write_record
from rewrite_contenders import CATALOG_MACHINE, TOOLS, Contender, target
from rewrite_facts import answers, correctness, error_between, facts
from rewrite_models import models

from rooftune.errors import ConstraintNotMet
from rooftune.execute.backend import present_backends
from rooftune.execute.competitor import Entry
from rooftune.execute.placement import usable_cpus
from rooftune.execute.race import race
from rooftune.execute.statistics import median_interval
from rooftune.machine.devices import find_machine
from rooftune.pipeline.rewrite import rewrite_graph

RESULT = Path(__file__).parent / "results/rewrites.json"
OURS, TWIN, ORIGINAL = "rooftune", "rooftune again", "original"
CONTENDERS = {OURS: "rooftune", TWIN: "rooftune", **{tool: tool for tool in TOOLS if tool != "rooftune"}}
PEERS = ("onnxslim", "onnxsim", "onnxoptimizer", "onnxscript")
PEER_TOLERANCE = 1e-4
"""An error above which a result counts as wrong, whoever made it; our own proof asks for more."""
ORDER_SLACK = 1e-3
"""Share by which two predictions may differ and still be the same: the analysis reads the nodes in the order of the
file, which decides what is still in a cache, and tools write that order as they please."""
SLOW_SECONDS = 30.0
"""After this much time on one model a tool gets two rounds and no more."""
RACE_SECONDS = 10.0


# --- the races ------------------------------------------------------------------------------------------------------


def rewrite_in_turns(path: Path, folder: Path, rounds: int) -> dict[str, Contender]:
    """All tools on one model, in turns; the first round warms up and does not count."""
    contenders = {name: Contender(tool, folder / name.replace(" ", "_")) for name, tool in CONTENDERS.items()}
    try:
        for _ in range(rounds + 1):
            for contender in contenders.values():
                slow = len(contender.seconds) >= 3 and sum(contender.seconds) > SLOW_SECONDS
                if not contender.refused and not slow:
                    contender.turn(path)
                    time.sleep(0.05)
    finally:
        for contender in contenders.values():
            contender.close()
    return contenders


def latencies(files: Mapping[str, Path], inputs: Any) -> dict[str, dict[str, Any]]:
    """Seconds per run of every file in every engine, each race with a twin of the first file."""
    found: dict[str, dict[str, Any]] = {}
    threads = len(usable_cpus())
    for engine, backend in present_backends()[0].items():
        if not backend.peer:
            continue  # what rewriting does for the engines people have
        entries = [Entry(backend.default(threads), path) for path in files.values()]
        raced = race(entries, inputs, budget_seconds=RACE_SECONDS)
        rows: dict[str, Any] = {}
        for name, lap in zip(files, raced.laps, strict=True):
            interval = lap.seconds
            rows[name] = (
                {"failed": lap.error[:200]}
                if interval is None
                else {"median": interval.median, "low": interval.low, "high": interval.high}
            )
        twin = raced.twin
        agreement = {"median": twin.median, "low": twin.low, "high": twin.high} if twin else None
        found[engine] = {
            "threads": threads,
            "rounds": raced.rounds,
            "twin": agreement,
            "settled": raced.settled,
            "files": rows,
        }
    return found


def measure(path: Path, folder: Path, rounds: int, quick: bool) -> dict[str, Any]:
    """Everything about one model."""
    inputs, expected = answers(path)
    proves = all(np.isfinite(a).all() for answer in expected for a in answer.values())
    rows: dict[str, dict[str, Any]] = {ORIGINAL: {**facts(path), "error": 0.0}}
    files = {ORIGINAL: path}
    for tool, contender in rewrite_in_turns(path, folder, rounds).items():
        if contender.refused:
            rows[tool] = {"refused": contender.refused}
            continue
        interval = median_interval(contender.seconds[1:])
        rows[tool] = {
            "seconds": {
                "median": interval.median,
                "low": interval.low,
                "high": interval.high,
                "first": contender.seconds[0],
            },
            **facts(contender.out),
            **correctness(contender.out, inputs, expected),
        }
        if tool != TWIN and right(rows[tool]):
            files[tool] = contender.out
    if not quick:
        # ours first: the race's twin is that of the first file
        order = [tool for tool in (OURS, *rows) if tool in files]
        runs = latencies({tool: files[tool] for tool in dict.fromkeys(order)}, inputs[0])
    return {
        "outputs_depend_on_inputs": proves and error_between(expected[:1], expected[1:]) > PEER_TOLERANCE,
        "proof": proof(path),
        "contenders": rows,
        "latency": {} if quick else runs,
    }


def proof(path: Path) -> dict[str, Any]:
    """What `rooftune rewrite --check` says of its own result."""
    machine, threads = target()
    try:
        outcome = rewrite_graph(path, check=True, machine=machine, threads=threads)
    except ConstraintNotMet as why:
        return {"passed": False, "reason": str(why)}
    assert outcome.proof is not None
    check = outcome.proof.verification
    return {
        "passed": check.passed,
        "exactness": check.exactness,
        "compared": outcome.proof.compared,
        "max_relative_error": check.max_relative_error,
    }


# --- the verdict ----------------------------------------------------------------------------------------------------


def right(row: Mapping[str, Any]) -> bool:
    """True where a result runs and is the same model."""
    return row.get("error") is not None and row["error"] <= PEER_TOLERANCE


def goals(name: str, found: Mapping[str, Any]) -> dict[str, bool]:
    """What was to be shown on one model, and whether it was."""
    rows = found["contenders"]
    ours = rows[OURS]
    if "refused" in ours:
        return {f"{name}: we rewrite it": False}
    peers = [rows[p] for p in PEERS if right(rows[p]) and rows[p]["standard"]]
    host = target()[0].id
    times = [t for p in peers if (t := p["predicted_seconds"].get(host)) is not None]
    own_time = ours["predicted_seconds"].get(host)
    met = {
        "proven by its own check": found["proof"]["passed"],
        "the same model": found["outputs_depend_on_inputs"] and right(ours),
        "standard operators, accepted by the checker": ours["standard"] and not ours["checker"],
        "no more nodes than any peer": all(ours["nodes"] <= p["nodes"] for p in peers),
        "predicted no slower than any peer": own_time is not None
        and all(own_time <= t * (1 + ORDER_SLACK) for t in times),
    }
    if "seconds" in rows["onnxslim"]:
        # slower is what is so beyond doubt: the whole 95 % interval of the median lies above onnxslim's
        met["made no slower than by onnxslim"] = ours["seconds"]["low"] <= rows["onnxslim"]["seconds"]["high"]
    operators = Counter(ours["operators"])
    if name.startswith("repvgg_a0_train"):
        branches = operators["Add"] + operators["BatchNormalization"]
        met["one convolution per block"] = operators["Conv"] == operators["Relu"] == 22 and not branches
    if name in ("light_densenet121", "light_inception_v1", "light_inception_v2", "light_shufflenet"):
        met["nothing left around batch normalisations"] = ours["leftovers"] == 0
    return {f"{name}: {goal}": bool(reached) for goal, reached in met.items()}


def show(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    host = target()[0]
    engines = list(dict.fromkeys(engine for row in rows.values() for engine in row["latency"]))
    table = Table(title=f"Rewriting; times predicted for {host.name} and {find_machine(CATALOG_MACHINE).name}, in ms")
    headings = ["model", "contender", "nodes", "with Constant", "MB", "activations", "predicted", "catalog", "seconds"]
    for heading in (*headings, "95 %", "checker", "standard", "error", *engines):
        table.add_column(heading, justify="left" if heading in ("model", "contender") else "right")
    for name, row in rows.items():
        for place, (tool, found) in enumerate(row["contenders"].items()):
            head = name if place == 0 else ""
            if "refused" in found:
                table.add_row(head, tool, "-", "-", "-", "-", "-", "-", "-", found["refused"][:30])
                continue
            taken, held = found.get("seconds"), found["activation_bytes"]
            table.add_row(
                head,
                tool,
                f"{found['nodes']:,}",
                f"{found['nodes_all']:,}",
                f"{found['file_bytes'] / 1e6:,.1f}",
                f"{held / 1e6:,.1f} MB" if held is not None else "?",
                *(_ms(found["predicted_seconds"].get(machine)) for machine in (host.id, CATALOG_MACHINE)),
                f"{taken['median']:.3f}" if taken else "",
                f"{taken['low']:.3f} to {taken['high']:.3f}" if taken else "",
                "no" if found["checker"] else "yes",
                "yes" if found["standard"] else "no",
                f"{found['error']:.1e}" if found["error"] is not None else "does not run",
                *(_latency(row["latency"][e]["files"].get(tool)) for e in engines),
            )
        table.add_section()
    screen = Console(width=190)
    screen.print(table)
    for name, row in rows.items():
        for engine, raced in row["latency"].items():
            twin = raced["twin"]
            if twin and not raced["settled"]:
                spread = f"{twin['median']:.3f} ({twin['low']:.3f} to {twin['high']:.3f})"
                screen.print(f"{name} in {engine}: the twins differ by {spread}; differences within that say nothing")


def _ms(seconds: float | None) -> str:
    return "?" if seconds is None else f"{1e3 * seconds:.2f}"


def _latency(lap: Mapping[str, Any] | None) -> str:
    return "" if lap is None else _ms(lap["median"]) if "median" in lap else "fails"


def write(rows: Mapping[str, Any], reached: Mapping[str, bool], options: argparse.Namespace) -> None:
    """What is known so far; called after every model, so that a run that is broken off leaves its rows."""
    packages = ("rooftune", "onnx", "onnxruntime", "openvino", "torch", *PEERS)
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {p: version(p) for p in packages},
        "machine": target()[0].id,
        "threads": target()[1],
        "catalog_machine": CATALOG_MACHINE,
        "rounds": options.rounds,
        "models": rows,
        "goals": reached,
    }
    write_record(options.out, record)


def main() -> int:
    """Race the tools on every model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["*"], metavar="PATTERN", help="names, * and ? allowed")
    parser.add_argument("--quick", action="store_true", help="no latency")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every tool on every model")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the record")
    options = parser.parse_args()
    chosen = {n: w for n, w in models().items() if any(fnmatch.fnmatch(n, p) for p in options.models)}
    if not chosen:
        parser.error(f"no such model; there are {', '.join(models())}")
    rows: dict[str, Any] = {}
    reached: dict[str, bool] = {}
    for name, writer in chosen.items():
        print(name, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="rooftune-rewrites-") as folder:
            path = writer(Path(folder) / "model.onnx")
            rows[name] = measure(path, Path(folder), options.rounds, options.quick)
        reached |= goals(name, rows[name])
        write(rows, reached, options)
    show(rows)
    return judge(reached)


if __name__ == "__main__":
    sys.exit(main())
