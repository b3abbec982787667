"""What predicted times miss by, and the coefficients of `analysis/prediction.toml` that miss by least.

Every network is run on every engine whose fused groups are written down, with one thread and with all. Per engine, the
utilisation of each class of kernel, of memory, and the time to start a kernel are fitted to the times of the whole
networks, pulled a little towards what engines are known to reach. Arithmetic is that of the graph, so the convolutions
of our own compiler, many of them Winograd's, may use more than the peak.

The error of a network is that of coefficients fitted to all the other networks. Beside it stands the two-coefficient
fit t = a · F / π + b · B / β on whole networks, fitted and judged the same way.

Writes `results/prediction.json` and prints a table; with --write the coefficients replace those of the package.

Usage: python benchmarks/prediction.py [--write] [--runs N] [NETWORK ...]
Needs: pip install rooftune[torch,openvino] -c constraints.txt; a quiet machine; some ten minutes
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rooftune import zoo
from rooftune.analysis.analyze import Analysis, analyze
from rooftune.analysis.fusion import known_backends as grouped_backends
from rooftune.analysis.predict import alignment, kernel_class
from rooftune.execute.backend import present_backends
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.probe.stored import host_machine
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.load import load
from rooftune.graph.seeded_weights import with_random_weights
from rooftune.machine.spec import Machine

DIGITS = Path(__file__).parents[1] / "examples/digits/digits.onnx"
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
RESULT = Path(__file__).parent / "results/prediction.json"
TABLE = Path(__file__).parents[1] / "src/rooftune/analysis/prediction.toml"
CLASSES = ("convolution", "pointwise", "depthwise", "grouped", "matmul", "recurrent", "elementwise", "other")
NETWORKS = (
    "digits",
    "resnet18",
    "squeezenet1_1",
    "mobilenet_v1",
    "mobilenet_v3_small",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "convnext_tiny",
    "light_resnet50",
    "light_densenet121",
    "light_inception_v2",
    "light_shufflenet",
)
PULL = 0.02
"""How much one unit of logarithm away from the prior costs, against the mean absolute error of the networks."""
TUNE_SECONDS = 10.0
"""For our own compiler to choose schedules by the clock."""
MOST_UTILISATION = {"native": 3.0}
"""Of convolutions: Winograd's of the largest tiles needs a quarter of the arithmetic."""
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The bounds of one group's roof in seconds; `compute` already holds the lanes that carry no channel."""

    kind: str
    threads: int
    compute: float
    memory: float


@dataclass(frozen=True)
class Run:
    """One network on one engine with a number of threads."""

    network: str
    backend: str
    threads: int
    seconds: float
    attributed_share: float
    flop_seconds: float
    byte_seconds: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Coefficients:
    """What `prediction.toml` holds for one engine."""

    utilisation: Mapping[str, float]
    memory_utilisation: float
    overhead_seconds: float
    thread_overhead_seconds: float

    def predict(self, sample: Sample) -> float:
        """Seconds of one group: the formula of `rooftune.analysis.predict`."""
        busy = max(sample.compute / self.utilisation[sample.kind], sample.memory / self.memory_utilisation)
        return busy + self.overhead(sample.threads)

    def overhead(self, threads: int) -> float:
        """Seconds to start one kernel."""
        return self.overhead_seconds + (self.thread_overhead_seconds if threads > 1 else 0.0)


# --- measuring ------------------------------------------------------------------------------------------------------


def samples_of(analysis: Analysis, machine: Machine) -> tuple[Sample, ...]:
    """The bounds of the groups whose roof is known."""
    kernels = {kernel.name: kernel for kernel in analysis.kernels}
    found = []
    for group in analysis.groups:
        compute, memory = group.compute_seconds, group.memory_seconds
        if group.kind != "compute" or not isinstance(compute, float) or not isinstance(memory, float):
            continue
        kernel = kernels[group.name]
        lanes = alignment(kernel.anchor, machine, group.format or analysis.format)
        found.append(Sample(kernel_class(kernel), analysis.threads, compute / lanes, memory))
    return tuple(found)


def measure(name: str, path: Path, backend: Any, threads: int, machine: Machine, runs: int) -> Run:
    """Profile one network on one engine."""
    analysis = analyze(load(path), machine, threads=threads, backend=backend.name)
    candidate = backend.default(threads)
    if "tune_seconds" in candidate.settings:
        candidate = replace(candidate, settings={**candidate.settings, "tune_seconds": TUNE_SECONDS})
    with Worker(candidate, path) as worker:
        worker.feed(random_inputs(worker.loaded.inputs))
        profile = worker.profile(runs)
    size, bandwidth = analysis.totals.bytes["fused"], machine.bandwidth("DRAM", threads)
    return Run(
        network=name,
        backend=backend.name,
        threads=threads,
        seconds=profile.model_seconds,
        attributed_share=profile.attributed_share,
        flop_seconds=sum(g.compute_seconds for g in analysis.groups if isinstance(g.compute_seconds, float)),
        byte_seconds=float(size) / float(bandwidth),  # type: ignore[arg-type]
        samples=samples_of(analysis, machine),
    )


def prepared(name: str, folder: Path) -> Path:
    """The file of a network, with random weights."""
    path = folder / f"{name}.onnx"
    if name == "digits":
        model = onnx.load(DIGITS)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(model, path)
        return path
    if name.startswith("light_"):
        return with_random_weights(LIGHT / f"{name}.onnx", path)
    return zoo.export(name, path)


# --- fitting --------------------------------------------------------------------------------------------------------


class Fitted:
    """Runs as arrays, so that a set of coefficients is judged quickly."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.seconds = np.array([run.seconds for run in runs])
        samples = [(index, sample) for index, run in enumerate(runs) for sample in run.samples]
        self.run = np.array([index for index, _ in samples])
        self.kind = np.array([CLASSES.index(sample.kind) for _, sample in samples])
        self.compute = np.array([sample.compute for _, sample in samples])
        self.memory = np.array([sample.memory for _, sample in samples])
        self.several = np.array([sample.threads > 1 for _, sample in samples])

    def loss(self, logs: FloatArray, prior: FloatArray) -> float:
        """Mean absolute log error of whole-model times, and a pull towards the prior where the data say little."""
        values = np.exp(logs)
        shares, memory, start, more = values[: len(CLASSES)], values[-3], values[-2], values[-1]
        busy = np.maximum(self.compute / shares[self.kind], self.memory / memory)
        predicted = np.bincount(self.run, busy + start + more * self.several, len(self.seconds))
        return float(np.abs(np.log(predicted / self.seconds)).mean() + PULL * np.square(logs - prior).sum())


def fit(runs: Sequence[Run], start: Coefficients, most: float = 1.0) -> Coefficients:
    """Coefficients that miss whole-model times by least: the time of the model is the truth, kernels are not.

    (An engine's profiler adds some microseconds to every kernel, which would pass for the cost of starting one.)
    Coordinate descent from `start` over the logarithms, with steps that halve.

    most  what convolutions may reach of the peak, by the arithmetic of the graph
    """
    data = Fitted(runs)
    values = [start.utilisation[k] for k in CLASSES]
    values += [start.memory_utilisation, start.overhead_seconds, start.thread_overhead_seconds]
    prior = np.log(np.array(values))
    shares = [most if k == "convolution" else 1.0 for k in CLASSES]
    highest = np.log(np.array([*shares, 1.0, 1e-4, 1e-4]))
    now, least = prior.copy(), data.loss(prior, prior)
    step = 0.5
    while step > 0.01:
        better = False
        for place in range(len(now)):
            for move in (step, -step):
                tried = now.copy()
                tried[place] = min(tried[place] + move, highest[place])
                loss = data.loss(tried, prior)
                if loss < least - 1e-9:
                    now, least, better = tried, loss, True
        step = step if better else step / 2
    found = np.exp(now)
    return Coefficients(dict(zip(CLASSES, map(float, found))), float(found[-3]), float(found[-2]), float(found[-1]))


def fit_baseline(runs: Sequence[Run]) -> tuple[float, float]:
    """a and b of t = a · F / π + b · B / β, neither negative, by least squares of the relative error."""
    rows = np.array([[r.flop_seconds / r.seconds, r.byte_seconds / r.seconds] for r in runs])
    ones = np.ones(len(runs))
    both = np.linalg.lstsq(rows, ones, rcond=None)[0]
    if (both >= 0).all():
        return float(both[0]), float(both[1])
    alone = [float(rows[:, i] @ ones / (rows[:, i] @ rows[:, i])) for i in (0, 1)]
    errors = [float(np.square(rows[:, i] * alone[i] - 1).sum()) for i in (0, 1)]
    return (alone[0], 0.0) if errors[0] <= errors[1] else (0.0, alone[1])


def judge(runs: Sequence[Run], start: Coefficients, most: float = 1.0) -> list[dict[str, Any]]:
    """Relative errors of each run, predicted by coefficients that have not seen its network."""
    rows = []
    for network in dict.fromkeys(run.network for run in runs):
        others = [run for run in runs if run.network != network]
        coefficients, (a, b) = fit(others, start, most), fit_baseline(others)
        for run in (run for run in runs if run.network == network):
            ours = sum(coefficients.predict(sample) for sample in run.samples)
            simple = a * run.flop_seconds + b * run.byte_seconds
            rows.append(
                {
                    "network": network,
                    "backend": run.backend,
                    "threads": run.threads,
                    "measured_seconds": run.seconds,
                    "attributed_share": run.attributed_share,
                    "predicted_seconds": ours,
                    "error": ours / run.seconds - 1,
                    "baseline_seconds": simple,
                    "baseline_error": simple / run.seconds - 1,
                }
            )
    return rows


# --- telling --------------------------------------------------------------------------------------------------------


def prior() -> Coefficients:
    """Where the fit starts and is pulled to: what well-kept engines reach on large shapes."""
    shares = {"convolution": 0.8, "pointwise": 0.75, "depthwise": 0.3, "grouped": 0.3, "matmul": 0.75}
    others = dict.fromkeys(("recurrent", "elementwise", "other"), 0.4)
    return Coefficients({**shares, **others}, 0.6, 3e-6, 1.5e-6)


def stated(backend: str) -> Coefficients:
    """The coefficients that the package holds now."""
    from rooftune.analysis.predict import prediction_model

    now = prediction_model(backend)
    return Coefficients(
        dict(now.utilisation), now.memory_utilisation, now.overhead_seconds, now.thread_overhead_seconds
    )


def write_table(fitted: Mapping[str, Coefficients], machine: Machine) -> None:
    """Replace the package's coefficients of the measured engines; those of `none` are 1 and 0 by definition."""
    lines = [
        "# Utilisation per class of kernel and seconds per kernel start, per backend.",
        "# Taken from benchmarks/prediction.py, which also prints what these numbers miss by.",
    ]
    ideal = Coefficients(dict.fromkeys(CLASSES, 1.0), 1.0, 0.0, 0.0)
    names = [n for n in grouped_backends() if n != "none"]
    tables = {**{n: fitted.get(n, stated(n)) for n in names}, "none": ideal}
    today = datetime.now(UTC).date().isoformat()
    for name, c in tables.items():
        source = f"benchmarks/prediction.py, {machine.name}, {today}" if name in fitted else _source_of(name)
        lines += [
            "",
            f"[{name}]",
            f"source = {json.dumps(source, ensure_ascii=False)}",
            f"overhead_seconds = {_toml(c.overhead_seconds)}",
            f"thread_overhead_seconds = {_toml(c.thread_overhead_seconds)}",
            f"memory_utilisation = {_toml(c.memory_utilisation)}",
            f"[{name}.utilisation]",
            *(f"{kind} = {_toml(c.utilisation[kind])}" for kind in CLASSES),
        ]
    scratch = TABLE.with_suffix(".tmp")
    scratch.write_text("\n".join(lines) + "\n", encoding="utf-8")
    scratch.replace(TABLE)


def _toml(value: float) -> str:
    """Three significant digits, and a point even in a whole number."""
    return repr(float(f"{value:.3g}"))


def _source_of(name: str) -> str:
    from rooftune.analysis.predict import prediction_model

    return prediction_model(name).source


def show(rows: Sequence[Mapping[str, Any]], fitted: Mapping[str, Coefficients]) -> None:
    """The tables for people."""
    screen = Console(width=130)
    table = Table(title="Prediction of networks that the coefficients have not seen")
    for heading in ("network", "engine", "threads", "measured", "attributed", "predicted", "error", "a·F/π + b·B/β"):
        table.add_column(heading, justify="left" if heading in ("network", "engine") else "right")
    for row in rows:
        table.add_row(
            row["network"],
            row["backend"],
            str(row["threads"]),
            f"{1e3 * row['measured_seconds']:.2f} ms",
            f"{100 * row['attributed_share']:.0f} %",
            f"{1e3 * row['predicted_seconds']:.2f} ms",
            f"{100 * row['error']:+.0f} %",
            f"{100 * row['baseline_error']:+.0f} %",
        )
    screen.print(table)
    for backend, coefficients in fitted.items():
        mine = [row for row in rows if row["backend"] == backend]
        ours, simple = (float(np.median([abs(r[k]) for r in mine])) for k in ("error", "baseline_error"))
        screen.print(f"{backend}: median error {100 * ours:.1f} %, two-coefficient fit {100 * simple:.1f} %")
        screen.print(f"  {coefficients}")


def main() -> int:
    """Measure, fit, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=list(NETWORKS))
    parser.add_argument("--runs", type=int, default=20, help="profiled runs per network, engine and thread count")
    parser.add_argument("--write", action="store_true", help="replace the coefficients of the package")
    options = parser.parse_args()
    machine = host_machine()
    present, _ = present_backends()
    engines = [backend for name, backend in present.items() if name in grouped_backends()]
    cores = len(usable_cpus())
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="rooftune-prediction-") as folder:
        for name in options.networks:
            print(name, file=sys.stderr, flush=True)
            path = prepared(name, Path(folder))
            for backend in engines:
                for threads in sorted({1, cores}):
                    try:
                        runs.append(measure(name, path, backend, threads, machine, options.runs))
                    except EngineFailure as failure:
                        print(f"  {backend.name} ×{threads}: {failure.reason}", file=sys.stderr, flush=True)
            path.unlink()
    fitted, rows = dict[str, Coefficients](), list[dict[str, Any]]()
    for backend in engines:
        mine = [run for run in runs if run.backend == backend.name]
        most = MOST_UTILISATION.get(backend.name, 1.0)
        fitted[backend.name] = fit(mine, prior(), most)
        rows += judge(mine, prior(), most)
    show(rows, fitted)
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.name,
        "threads": sorted({1, cores}),
        "rows": rows,
        "coefficients": {name: asdict(c) for name, c in fitted.items()},
    }
    RESULT.parent.mkdir(exist_ok=True)
    scratch = RESULT.with_suffix(".tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    scratch.replace(RESULT)
    if options.write:
        write_table(fitted, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
