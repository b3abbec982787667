"""Single convolution layers in fp32: our kernels against ONNX Runtime, OpenVINO and ncnn, in turns, weights cold.

The layers are those of real networks (convolution_layers.py). What a layer takes is what a file with 2n copies of it
takes longer than one with n copies, divided by n, round by round: conversions at the borders of a model and the way
into an engine, which a layer inside a network does not pay, cancel. Each copy has its own weights, and n is chosen so
that more than the last cache's worth of bytes lies between two uses of the same ones; where that would need more than
16 copies, or some seconds per turn, there are only a few, and the record says `cold: false`. Every engine has a process
of its own per file, with its defaults; ours chooses its schedules by measurement when it loads.

The processor's fp32 peak races too (multiply-adds in registers): on a shared computer it changes by a third, so shares
of it are taken round by round. Where ours chose Winograd's algorithm its direct kernel races beside it. `in cache` are
layers of which two copies lie in the second-level cache.

Goals: no layer slower than 0.97 of the best peer (a loss counts when the whole interval lies below); the geometric mean
over all ≥ 1.05 times the best peer; 3×3 with stride 1, 64 channels or more and maps of 28 or more ≥ 2.2 times as fast
as ONNX Runtime; errors ≤ 1e-5 (the first pixel against double precision). Direct kernels, on one thread: ≥ 93 % of the
peak in cache, ≥ 85 % on the layers of 64 channels or more.

Writes results/convolutions.json (with --threads N results/convolutions_N.json; with --quick nothing unless --out says
where), prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/convolutions.py [--only PATTERN ...] [--engines NAME ...] [--threads N] [--seconds S]
Needs: pip install rooftune[openvino,bench] -c constraints.txt
"""

from __future__ import annotations

import argparse
import fnmatch
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accuracy import error_of
from convolution_layers import CACHED, LAYERS, Layer
from convolution_verdict import BASELINE, ENGINES, OURS, geometric_mean, goals, show
from goals import conclude
from ncnn_files import ConversionFailed, convert
from peers import present, register, versions
from record import write_record

from rooftune.compiler.describe import step_facts
from rooftune.compiler.lower import lower
from rooftune.compiler.program import build
from rooftune.compiler.target import host_target
from rooftune.execute.backend import Candidate, find_backend
from rooftune.execute.competitor import Entry
from rooftune.execute.race import race
from rooftune.execute.statistics import median_interval, ratio_interval
from rooftune.execute.tuning import tuner_for
from rooftune.graph.load import load
from rooftune.machine.topology import read_topology
from rooftune.verdicts import Refusal

RESULTS = Path(__file__).parent / "results"
DIRECT, PEAK = "native direct", "peak"
LEAST_COPIES, FEW_COPIES, MOST_COPIES, MOST_FLOPS = 2, 4, 16, 48_000_000_000
"""Bounds on n, and on the work of a run of 2n copies: half a second at 100 GFLOP/s."""
PAST_THE_CACHE = 1.25
TUNE_SECONDS = 20.0
QUICK = (
    "resnet50 3×3 128→128 @28",
    "resnet50 1×1 1024→256 @14",
    "resnet50 7×7*",
    "mobilenet_v2 3×3 96→*",
    "resnext50*",
)
QUICK_SECONDS, QUICK_ROUNDS = 1.0, 3


# --- what takes part ------------------------------------------------------------------------------------------------


def copies(layer: Layer, cache_bytes: int) -> int:
    """How many stand side by side in the smaller file."""
    wanted = math.ceil((PAST_THE_CACHE * cache_bytes - layer.map_bytes) / layer.weight_bytes)
    wanted = wanted if wanted <= MOST_COPIES else FEW_COPIES
    return max(LEAST_COPIES, min(wanted, MOST_FLOPS // (2 * layer.flops)))


def last_cache_bytes() -> int:
    return max((cache.size_bytes for cache in read_topology().caches), default=0)


def schedule(model: Path, threads: int) -> dict[str, Any]:
    """The kernel our compiler chose for the layer, with its settings, or `refused` and why; chooses it if need be."""
    target = host_target(threads=threads)
    lowered = lower(load(model))
    if target is None or isinstance(lowered, Refusal):
        return {"refused": lowered.reason if isinstance(lowered, Refusal) else "no kernels for this processor"}
    steps = step_facts(build(lowered, target, choose=tuner_for(target, TUNE_SECONDS)))
    step = next(step for step in steps if "layer0" in step["nodes"])
    return {"kernel": step["kernel"], **step["schedule"]}


def direct(threads: int) -> Candidate:
    """Our compiler with Winograd's algorithm off."""
    return next(c for c in find_backend(OURS).space(threads) if not c.settings["winograd"])


def files(layer: Layer, counts: Sequence[int], engines: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """The files that each engine reads, one per number of copies; an engine that has none is left out."""
    models = [layer.write(folder / f"layer{count}.onnx", count) for count in counts]
    found = dict.fromkeys(engines, models)
    if "ncnn" in found:
        try:
            found["ncnn"] = [convert(model, folder) for model in models]
        except ConversionFailed as why:
            print(f"{layer.name}: {why}", file=sys.stderr, flush=True)
            del found["ncnn"]
    return found


# --- the race -------------------------------------------------------------------------------------------------------


def samples(
    layer: Layer, entrants: Mapping[str, tuple[Candidate, Sequence[Path]]], count: int, options: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of the layer in every round, by entrant, and what the race says of itself.

    entrants   each with its files of `count` and 2 × `count` copies; `PEAK` with one file, and seconds of a run
    """
    entries = [Entry(candidate, path) for candidate, paths in entrants.values() for path in paths]
    raced = race(
        entries,
        {"x": layer.example()},
        budget_seconds=options.seconds,
        least_rounds=QUICK_ROUNDS if options.quick else 8,
    )
    laps = iter(raced.laps)
    found: dict[str, list[float]] = {}
    for name, (_, paths) in entrants.items():
        own = [next(laps) for _ in paths]
        broken = next((lap.error for lap in own if lap.failed), None)
        if broken is not None:
            print(f"{layer.name}: {name}: {broken[:200]}", file=sys.stderr, flush=True)
        elif len(own) == 1:
            found[name] = list(own[0].medians)
        else:
            few, many = (lap.medians for lap in own)
            found[name] = [(b - a) / count for a, b in zip(few, many, strict=True)]
    # a disturbance larger than the layer itself leaves nothing to compare in that round
    sound = [r for r in range(raced.rounds) if all(seconds[r] > 0 for seconds in found.values())]
    if not sound:
        print(f"{layer.name}: no round was quiet enough", file=sys.stderr, flush=True)
    twin = asdict(raced.twin) if raced.twin else None
    about = {"rounds": raced.rounds, "sound_rounds": len(sound), "twin": twin, "settled": raced.settled}
    return {name: [seconds[r] for r in sound] for name, seconds in found.items() if sound}, about


def share_of_peak(layer: Layer, found: Mapping[str, Sequence[float]], name: str, threads: int) -> dict[str, Any] | None:
    """FLOP/s of an entrant as a share of the peak in the same round."""
    if name not in found or PEAK not in found:
        return None
    reached = [layer.flops / seconds for seconds in found[name]]
    return asdict(ratio_interval(reached, peaks(found, threads)))


def peaks(found: Mapping[str, Sequence[float]], threads: int) -> list[float]:
    """The processor's FLOP/s in every round."""
    flops = threads * find_backend(PEAK).default(threads).settings["flops"]
    return [flops / seconds for seconds in found.get(PEAK, ())]


def measure(layer: Layer, engines: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one layer."""
    threads, cache = options.threads, last_cache_bytes()
    count = LEAST_COPIES if options.quick else copies(layer, cache)
    with tempfile.TemporaryDirectory(prefix="rooftune-convolutions-") as folder:
        paths = files(layer, (count, 2 * count), engines, Path(folder))
        models = paths[BASELINE]
        chosen = schedule(models[0], threads) if OURS in paths else {"refused": "not asked for"}
        if "refused" in chosen:
            paths.pop(OURS, None)
        entrants = {name: (find_backend(name).default(threads), own) for name, own in paths.items()}
        if chosen.get("kernel") == "winograd":
            entrants[DIRECT] = direct(threads), models
        entrants[PEAK] = find_backend(PEAK).default(threads), models[:1]
        found, about = samples(layer, entrants, count, options)
        expected = layer.expected(count)
        errors = {
            n: error_of(Entry(c, own[0]), {"x": layer.example()}, expected)
            for n, (c, own) in entrants.items()
            if n in found and n != PEAK
        }
    rows = {
        name: {
            "seconds": asdict(median_interval(seconds)),
            "flops_per_second": layer.flops / median_interval(seconds).median,
            "error": errors[name],
        }
        for name, seconds in found.items()
        if name != PEAK
    }
    plain = {"winograd": DIRECT, "direct": OURS}.get(chosen.get("kernel", ""))
    return {
        **asdict(layer),
        "flops": layer.flops,
        "copies": count,
        "cold": count * layer.weight_bytes + layer.map_bytes > cache,
        "schedule": chosen,
        "engines": rows,
        **compared(found, engines),
        "peak_flops_per_second": asdict(median_interval(peaks(found, threads))) if PEAK in found else None,
        "direct_share_of_peak": share_of_peak(layer, found, plain, threads) if plain else None,
        **about,
    }


def compared(found: Mapping[str, Sequence[float]], engines: Sequence[str]) -> dict[str, Any]:
    """How many times as fast as ONNX Runtime ours is, and as the fastest of the peers."""
    if OURS not in found:
        return {"over_onnxruntime": None, "over_best_peer": None}
    over = {
        name: asdict(ratio_interval(found[name], found[OURS])) for name in engines if name in found and name != OURS
    }
    peers = {name: median_interval(found[name]).median for name in over}
    best = min(peers, key=lambda name: peers[name], default=None)
    return {
        "over_onnxruntime": over.get(BASELINE),
        "over_best_peer": None if best is None else {"peer": best, **over[best]},
    }


def measure_cached(layer: Layer, options: argparse.Namespace) -> dict[str, Any]:
    """What our direct kernel reaches when nothing comes from beyond the second-level cache."""
    with tempfile.TemporaryDirectory(prefix="rooftune-convolutions-") as folder:
        models = [layer.write(Path(folder) / f"layer{count}.onnx", count) for count in (1, 2)]
        entrants = {
            OURS: (direct(options.threads), models),
            PEAK: (find_backend(PEAK).default(options.threads), models[:1]),
        }
        found, about = samples(layer, entrants, 1, options)
    return {**asdict(layer), "direct_share_of_peak": share_of_peak(layer, found, OURS, options.threads), **about}


# --- the whole ------------------------------------------------------------------------------------------------------


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="layers by name, * and ? allowed")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES, help=f"{BASELINE} always takes part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring per layer, at least eight rounds")
    parser.add_argument("--quick", action="store_true", help="five layers, three rounds: to see that everything runs")
    parser.add_argument("--out", type=Path, help="file of the record")
    parser.add_argument("--json", action="store_true", help="print the record instead of the table")
    options = parser.parse_args()
    if options.threads < 1:
        parser.error("at least one thread is needed")
    whole = options.only == ["*"]
    # what a kernel reaches in cache is said of one thread, beside the whole table
    options.cached = CACHED if whole and options.threads == 1 else ()
    if options.quick:
        options.seconds = min(options.seconds, QUICK_SECONDS)
        options.only = QUICK if whole else options.only
        options.cached = options.cached[:1]
    elif options.out is None:
        name = "convolutions.json" if options.threads == 1 else f"convolutions_{options.threads}.json"
        options.out = RESULTS / name
    options.layers = [one for one in LAYERS if any(fnmatch.fnmatch(one.name, p) for p in options.only)]
    if not options.layers:
        parser.error(f"no such layer; there are {', '.join(one.name for one in LAYERS)}")
    return options


def keep(
    rows: Mapping[str, Any], cached: Mapping[str, Any], engines: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    """The record of what is known so far, written after every layer."""
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": read_topology().name,
        "versions": {"llvmlite": version("llvmlite"), **versions([*engines, PEAK])},
        "threads": options.threads,
        "layers": rows,
        "in_cache": cached,
        "geometric_mean_over_best_peer": geometric_mean(rows),
        "goals": goals(rows, cached, options.threads) if OURS in engines else {},
    }
    if options.out is not None:
        write_record(options.out, record)
    return record


def main() -> int:
    """Race the engines on every layer."""
    register()
    options = parse()
    engines = present([e for e in ENGINES if e == BASELINE or e in options.engines])
    rows: dict[str, Any] = {}
    cached: dict[str, Any] = {}
    record: dict[str, Any] = {}
    for layer in options.layers:
        print(layer.name, file=sys.stderr, flush=True)
        rows[layer.name] = measure(layer, engines, options)
        record = keep(rows, cached, engines, options)
    for layer in options.cached if OURS in engines else ():
        print(layer.name, file=sys.stderr, flush=True)
        cached[layer.name] = measure_cached(layer, options)
        record = keep(rows, cached, engines, options)
    return conclude(record, options.json, lambda: show(rows, cached, options.threads))


if __name__ == "__main__":
    sys.exit(main())
