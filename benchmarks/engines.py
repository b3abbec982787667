"""Whole networks in fp32: our compiler against ONNX Runtime, OpenVINO, ncnn and PyTorch's inductor, in turns.

Networks come from the zoo with seeded weights, as PyTorch's dynamo exporter writes them by default: its own optimiser
has merged the batch normalisations, so that no engine is slowed by a graph it does not like. Every engine has a process
of its own and the settings a sensible user takes without tuning:
  onnxruntime, openvino   the file, with their defaults for latency; OpenVINO in fp32
  ncnn       the file through pnnx (ncnn_files.py), fp32, Winograd's convolution as the engine chooses it; the images
             of a batch one after the other
  inductor   torch.compile of the module itself, weights frozen, channels last; needs a C++ compiler
  native     the file; schedules chosen by measurement when the model is loaded, which stands beside the time
An engine that is not there is left out with a line. A race holds an A/A twin of ONNX Runtime: differences within what
the twins differ by say nothing. Errors are against the module in PyTorch with double precision (max absolute
difference / max absolute value); those of the peers are taken at the first number of threads.

Goals on the ten networks, at one thread and two: every node runs in compiled code; error of ours ≤ 1e-5; not slower
than ONNX Runtime (a loss counts when the whole interval of the paired ratios lies below 1). At batch 1 besides: VGG16
≥ 2.35 times as fast as ONNX Runtime at one thread and ≥ 2.15 at two, RepVGG-A0 and VoVNet39 ≥ 1.7, ResNet50 and
CSPResNet50 ≥ 1.2, and ≥ 1.07 times as fast as the best peer on each of these five.

Writes results/engines.json (with --batch N results/engines_batchN.json; with --quick nothing unless --out says where),
prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/engines.py [--only PATTERN ...] [--engines NAME ...] [--threads N ...] [--batch N] [--keep]
Needs: pip install rooftune[openvino,torch,bench] -c constraints.txt
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import error_of
from goals import conclude
from ncnn_files import ConversionFailed, convert
from numpy.typing import NDArray
from peers import present, register, versions
from record import write_record

from rooftune import zoo
from rooftune.cli.screen import ScreenProgress
from rooftune.errors import InputError
from rooftune.execute.backend import Candidate, find_backend
from rooftune.execute.competitor import Entry
from rooftune.execute.placement import usable_cpus
from rooftune.execute.race import race
from rooftune.machine.topology import read_topology
from rooftune.pipeline.compile import compile_model
from rooftune.protocols import Arrays

RESULTS = Path(__file__).parent / "results"
BASELINE, OURS = "onnxruntime", "native"
ENGINES = (BASELINE, "openvino", "ncnn", "inductor", OURS)
NETWORKS = (
    "vgg16",
    "resnet50",
    "mobilenet_v1",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
    "repvgg_a0",
    "cspresnet50",
    "ese_vovnet39b",
    "ghostnet",
    "vit_tiny_16",
)
GAINS = {
    ("vgg16", 1): 2.35,
    ("vgg16", 2): 2.15,
    **{(n, t): 1.7 for n in ("repvgg_a0", "ese_vovnet39b") for t in (1, 2)},
    **{(n, t): 1.2 for n in ("resnet50", "cspresnet50") for t in (1, 2)},
}
"""How many times as fast as ONNX Runtime at batch 1, by network and threads."""
OVER_BEST = 1.07
TOLERANCE = 1e-5
WEIGHTS_SEED, INPUTS_SEED = 0, 1
QUICK_SECONDS, QUICK_ROUNDS = 2.0, 3


# --- what takes part ------------------------------------------------------------------------------------------------


def chosen_networks(patterns: Sequence[str] | None) -> list[str]:
    """Networks of the zoo that are asked for, default the ten; one that the zoo lacks is left out with a line."""
    there = zoo.names()
    if patterns:
        return [name for name in there if any(fnmatch.fnmatch(name, p) for p in patterns)]
    for name in [name for name in NETWORKS if name not in there]:
        print(f"left out: the zoo has no {name}", file=sys.stderr, flush=True)
    return [name for name in NETWORKS if name in there]


def files(network: str, batch: int, engines: Sequence[str], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The file that each engine reads, and why an engine has none."""
    path = zoo.export(network, folder / f"{network}.onnx", batch, seed=WEIGHTS_SEED, fold_batchnorm=True)
    found, failed = dict.fromkeys(engines, path), {}
    if "ncnn" in found:
        single = path
        if batch > 1:
            single = zoo.export(network, folder / f"{network}-1.onnx", seed=WEIGHTS_SEED, fold_batchnorm=True)
        try:
            found["ncnn"] = convert(single, folder)
        except ConversionFailed as why:
            failed["ncnn"] = str(why)
            del found["ncnn"]
    return found, failed


def candidate(engine: str, network: str, batch: int, threads: int) -> Candidate:
    """How an engine runs a network."""
    default = find_backend(engine).default(threads)
    if engine != "inductor":
        return default
    return replace(default, settings={"network": network, "batch": batch, "seed": WEIGHTS_SEED})


# --- what is right --------------------------------------------------------------------------------------------------


def example(network: str, batch: int) -> dict[str, NDArray[Any]]:
    """Inputs by name."""
    tensors = zoo.example_inputs(network, batch, INPUTS_SEED)
    return {name: tensor.numpy() for name, tensor in zip(zoo.input_names(network), tensors, strict=True)}


def reference(network: str, inputs: Arrays) -> NDArray[np.float64]:
    """What the network gives when nothing is rounded to fp32 on the way."""
    import torch

    module = zoo.build(network, WEIGHTS_SEED).double()
    with torch.no_grad():
        tensors = [
            torch.from_numpy(a).double() if a.dtype.kind == "f" else torch.from_numpy(a) for a in inputs.values()
        ]
        return np.asarray(module(*tensors).numpy())


def native_share(path: Path) -> tuple[float, str]:
    """Share of the nodes that run in compiled code, and what is in the way of the others."""
    try:
        share = compile_model(path, machine_code=False).facts()["native_share"]
    except InputError as why:
        return 0.0, why.cause
    return float(share["nodes"] if isinstance(share, Mapping) else share), ""


# --- the race -------------------------------------------------------------------------------------------------------


def measure(entries: Mapping[str, Entry], inputs: Arrays, seconds: float, rounds: int) -> dict[str, Any]:
    """Seconds of every engine, how many times as fast as ONNX Runtime it is, and ours against the best peer."""
    names = list(entries)
    raced = race(list(entries.values()), inputs, budget_seconds=seconds, least_rounds=rounds, progress=ScreenProgress())
    rows: dict[str, Any] = {}
    for place, (name, lap) in enumerate(zip(names, raced.laps, strict=True)):
        if lap.seconds is None:
            rows[name] = {"failed": lap.error[:200]}
            continue
        comparable = place and not raced.laps[0].failed
        rows[name] = {
            "seconds": asdict(lap.seconds),
            "over_onnxruntime": asdict(raced.ratio(0, place)) if comparable else None,
            "load_seconds": lap.load_seconds,
        }
    best = raced.fastest([place for place, name in enumerate(names) if name != OURS])
    if best is not None and "seconds" in rows.get(OURS, {}):
        ratio = raced.ratio(best, names.index(OURS))
        rows[OURS]["over_best_peer"] = {"peer": names[best], **asdict(ratio)}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "engines": rows,
        "rounds": raced.rounds,
        "twin": asdict(raced.twin) if raced.twin else None,
        "settled": raced.settled,
    }


def run(network: str, engines: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one network: by number of threads, and what of it is compiled."""
    with tempfile.TemporaryDirectory(prefix="rooftune-engines-") as folder:
        print(f"{network}: exporting", file=sys.stderr, flush=True)
        paths, failed = files(network, options.batch, engines, Path(folder))
        inputs = example(network, options.batch)
        expected = reference(network, inputs)
        share, reason = native_share(paths[BASELINE])
        errors: dict[str, float | None] = {}
        counts: dict[int, Any] = {}
        for threads in options.threads:
            print(f"{network}, {threads} thread{'s' if threads > 1 else ''}", file=sys.stderr, flush=True)
            entries = {e: Entry(candidate(e, network, options.batch, threads), path) for e, path in paths.items()}
            counts[threads] = measure(entries, inputs, options.seconds, QUICK_ROUNDS if options.quick else 8)
            rows = counts[threads]["engines"]
            for engine in [e for e in paths if "seconds" in rows[e]]:
                if engine == OURS or engine not in errors:  # ours may choose other schedules
                    errors[engine] = error_of(entries[engine], inputs, expected)
                rows[engine]["error"] = errors[engine]
            rows |= {engine: {"failed": why} for engine, why in failed.items()}
    return {"native_share": share, "native_reason": reason, "threads": counts}


# --- the verdict ----------------------------------------------------------------------------------------------------


def goals(network: str, found: Mapping[str, Any], batch: int) -> dict[str, bool]:
    """What was to be shown on one network, and whether it was."""
    reached: dict[str, bool] = {}
    if network in NETWORKS:
        reached[f"{network}: every node compiled"] = found["native_share"] == 1.0
    for threads, raced in found["threads"].items():
        head, rows = f"{network} on {threads}", raced["engines"]
        ours = rows.get(OURS)
        if ours is None:
            continue
        if "failed" in ours or "failed" in rows[BASELINE]:
            reached[f"{head}: it runs"] = False
            continue
        ratio, best = ours["over_onnxruntime"], ours["over_best_peer"]
        met = {
            f"error at most {TOLERANCE:g}": ours["error"] is not None and ours["error"] <= TOLERANCE,
            f"not slower than ONNX Runtime, {_said(ratio)}": ratio["high"] >= 1.0,
        }
        gain = GAINS.get((network, threads)) if batch == 1 else None
        if gain is not None:
            peers = ", ".join(e for e in rows if e != OURS and "seconds" in rows[e])
            met[f"{gain} times ONNX Runtime, {_said(ratio)}"] = ratio["median"] >= gain
            met[f"{OVER_BEST} times the best of {peers}, {_said(best)}"] = best["median"] >= OVER_BEST
        reached |= {f"{head}: {goal}": good for goal, good in met.items()}
    return reached


def _said(ratio: Mapping[str, Any]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def show(rows: Mapping[str, Mapping[str, Any]], batch: int) -> None:
    """The table for people: a block per network and number of threads."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Milliseconds of a run, fp32, batch {batch}, on {read_topology().name}")
    left = ("network", "engine")
    for heading in (*left, "ms", "95 %", "times ONNX Runtime", "times the best peer", "error", "loading, s"):
        table.add_column(heading, justify="left" if heading in left else "right")
    notes = []
    for network, found in rows.items():
        if found["native_share"] < 1.0:
            notes.append(f"{network}: {found['native_share']:.0%} of the nodes compiled; {found['native_reason']}")
        for threads, raced in found["threads"].items():
            head = f"{network}, {threads} thread{'s' if threads > 1 else ''}"
            for place, (engine, row) in enumerate(raced["engines"].items()):
                table.add_row(
                    head if place == 0 else "", *_cells(engine, row), style="bold" if engine == OURS else None
                )
            table.add_section()
            twin = raced["twin"]
            if twin and not raced["settled"]:
                notes.append(f"{head}: the twins differ by {_said(twin)}; differences within that say nothing")
    screen = Console(width=150)
    screen.print(table)
    for note in notes:
        screen.print(note)


def _cells(engine: str, row: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [engine, "-", row["failed"][:60]]
    seconds, ratio, best = row["seconds"], row["over_onnxruntime"], row.get("over_best_peer")
    return [
        engine,
        f"{1e3 * seconds['median']:.2f}",
        f"{1e3 * seconds['low']:.2f} to {1e3 * seconds['high']:.2f}",
        "" if ratio is None else _said(ratio),
        "" if best is None else f"{_said(best)} {best['peer']}",
        "-" if row["error"] is None else f"{row['error']:.1e}",
        f"{row['load_seconds']:.1f}",
    ]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="networks of the zoo, * and ? allowed")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES, help=f"{BASELINE} always takes part")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, len(usable_cpus())], help="numbers of threads")
    parser.add_argument("--batch", type=int, default=1, help="images of a run")
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring per race, at least eight rounds")
    parser.add_argument("--quick", action="store_true", help="three rounds: to see that everything runs")
    parser.add_argument("--out", type=Path, help="file of the record")
    parser.add_argument("--keep", action="store_true", help="leave in the record what is not measured now")
    parser.add_argument("--json", action="store_true", help="print the record instead of the table")
    options = parser.parse_args()
    options.threads = list(dict.fromkeys(options.threads))
    if options.batch < 1 or min(options.threads) < 1:
        parser.error("at least one image and one thread are needed")
    if options.quick:
        options.seconds = min(options.seconds, QUICK_SECONDS)
    elif options.out is None:
        options.out = RESULTS / ("engines.json" if options.batch == 1 else f"engines_batch{options.batch}.json")
    options.networks = chosen_networks(options.only)
    if not options.networks:
        parser.error(f"no such network; there are {', '.join(zoo.names())}")
    return options


def kept_rows(path: Path | None, batch: int) -> dict[str, Any]:
    """The rows of an earlier record of this computer; none where there is no such record."""
    if path is None or not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["machine"] != read_topology().name or record["batch"] != batch:
        return {}
    return {
        name: {**row, "threads": {int(count): raced for count, raced in row["threads"].items()}}
        for name, row in record["networks"].items()
    }


def main() -> int:
    """Race the engines on every network."""
    register()
    options = parse()
    engines = present([e for e in ENGINES if e == BASELINE or e in options.engines])
    rows = kept_rows(options.out, options.batch) if options.keep else {}
    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rooftune-inductor-") as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for network in options.networks:
            found = run(network, engines, options)
            earlier = rows.get(network, {}).get("threads", {})
            rows[network] = {**found, "threads": dict(sorted({**earlier, **found["threads"]}.items()))}
            reached = {goal: met for name, row in rows.items() for goal, met in goals(name, row, options.batch).items()}
            record = {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": read_topology().name,
                "versions": {"llvmlite": version("llvmlite"), **versions(engines)},
                "batch": options.batch,
                "networks": rows,
                "goals": reached,
            }
            if options.out is not None:
                write_record(options.out, record)
    return conclude(record, options.json, lambda: show(rows, options.batch))


if __name__ == "__main__":
    sys.exit(main())
