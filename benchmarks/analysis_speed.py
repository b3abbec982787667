"""How long it takes from a model file to its counts: load, shape inference, counting; nothing kept between calls.

What each tool does here, once per call and on the same file:
  rooftune   load (weights stay on disk), infer all shapes, count MACs, elementwise work, four byte views and
             parameters, group what fuses, footprint, and place every group under a roof: `load` and `analyze`
  counts     of rooftune: `load`, `model_work`, `count_parameters` and the bytes of the nodes; what onnx-tool's
             `profile` does, without groups, footprint and roofs
  onnx-tool  `Model`, sort the nodes, `shape_infer` (by running a shape engine of its own), `profile`
  onnxsim    `onnx.load` and `ModelInfo`: shape inference, MACs, bytes and footprint; no parameters, no elementwise work

Each tool runs in a process of its own, imports excluded, in turns with the others; ours runs twice (`rooftune again`)
to show what a difference is worth. Files are in the page cache. Writes `results/analysis_speed.json`, prints a table
and whether the goals are met, and ends with 1 where one is not.

Usage: python benchmarks/analysis_speed.py [--rounds N] [FILE ...]
Needs: pip install rooftune[torch,bench] -c constraints.txt
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results/analysis_speed.json"
CONTENDERS = {
    "rooftune": "rooftune",
    "rooftune again": "rooftune",
    "rooftune counts": "counts",
    "onnx-tool": "onnx-tool",
    "onnxsim": "onnxsim",
}
NETWORKS = ("resnet50", "vgg16", "mobilenet_v2", "densenet121")
CHAIN = "chain of 10,000 nodes"
SLOW_SECONDS = 20.0
"""After this much time on one file a tool gets three rounds and no more."""


# --- one tool in a process of its own -------------------------------------------------------------------------------


def rooftune_counter() -> Callable[[str], dict[str, Any]]:
    """Our counter; the machine is a catalog entry, so that nothing is measured."""
    from rooftune.analysis.analyze import analyze
    from rooftune.graph.load import load
    from rooftune.machine.devices import find_machine

    machine = find_machine("nvidia-t4")

    def count(path: str) -> dict[str, Any]:
        start = time.perf_counter()
        model = load(path)
        loaded = time.perf_counter()
        totals = analyze(model, machine, threads=1).totals
        return {"macs": int(totals.macs), "params": int(totals.params), "load_seconds": loaded - start}

    return count


def counts_counter() -> Callable[[str], dict[str, Any]]:
    """Our counts alone."""
    from rooftune.analysis.parameters import count_parameters
    from rooftune.analysis.tensors import shared_storage
    from rooftune.analysis.views import unfused_bytes
    from rooftune.analysis.work import model_work
    from rooftune.graph.load import load

    def count(path: str) -> dict[str, Any]:
        model = load(path)
        nodes = model_work(model)
        return {
            "macs": sum(int(n.work.macs) for n in nodes),  # type: ignore[union-attr]
            "params": int(count_parameters(nodes, shared_storage(model)).learnable),
            "bytes": sum(int(unfused_bytes(n)) for n in nodes),
        }

    return count


def onnx_tool_counter() -> Callable[[str], dict[str, Any]]:
    """onnx-tool's counter."""
    import onnx_tool

    def count(path: str) -> dict[str, Any]:
        graph = onnx_tool.Model(path, {"verbose": False}).graph
        graph.graph_reorder_nodes()
        graph.shape_infer({})
        graph.profile()
        return {"macs": int(graph.macs[0]), "params": int(graph.params)}

    return count


def onnxsim_counter() -> Callable[[str], dict[str, Any]]:
    """onnxsim's counter, without its simplifier."""
    import onnx
    from onnxsim.model_info import ModelInfo

    return lambda path: {"macs": int(ModelInfo(onnx.load(path)).macs)}


COUNTERS = {
    "rooftune": rooftune_counter,
    "counts": counts_counter,
    "onnx-tool": onnx_tool_counter,
    "onnxsim": onnxsim_counter,
}


def resident_bytes(field: str) -> int:
    """`VmHWM` (most ever) or `VmRSS` (now) of this process, in bytes; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def serve(tool: str) -> None:
    """Answer each path on standard input with one line of JSON: seconds, counts, memory."""
    answers = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = COUNTERS[tool]()
        before = resident_bytes("VmRSS")
        for line in sys.stdin:
            gc.collect()
            start = time.perf_counter()
            try:
                found = count(line.rstrip("\n"))
            except Exception as why:  # a peer's refusal is a result
                found = {"refused": f"{type(why).__name__}: {why}"[:200]}
            found["seconds"] = time.perf_counter() - start
            found["resident_before"], found["resident_most"] = before, resident_bytes("VmHWM")
            print(json.dumps(found), file=answers, flush=True)


# --- the race -------------------------------------------------------------------------------------------------------


class Contender:
    """One tool's process for one file."""

    def __init__(self, tool: str) -> None:
        command = [sys.executable, __file__, "--serve", tool]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answers: list[dict[str, Any]] = []

    def turn(self, path: Path) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.answers.append(json.loads(line) if line else {"refused": "the process ended", "seconds": 0.0})

    @property
    def done(self) -> bool:
        """True where more rounds make no sense: the tool refuses, or it is slow and has had three."""
        spent = sum(a["seconds"] for a in self.answers)
        return any("refused" in a for a in self.answers) or (len(self.answers) >= 3 and spent > SLOW_SECONDS)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)


def race(path: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """All tools on one file, in turns; the first round warms up and does not count."""
    contenders = {name: Contender(tool) for name, tool in CONTENDERS.items()}
    try:
        for _ in range(rounds + 1):
            for contender in contenders.values():
                if not contender.done:
                    contender.turn(path)
                    time.sleep(0.05)
    finally:
        for contender in contenders.values():
            contender.close()
    return {name: summary(contender.answers) for name, contender in contenders.items()}


def summary(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median seconds with its bootstrap interval, memory, and what was counted."""
    from rooftune.execute.statistics import median_interval

    last = answers[-1]
    if "refused" in last:
        return {"refused": last["refused"]}
    seconds = [a["seconds"] for a in answers[1:]]
    interval = median_interval(seconds)
    return {
        "median_seconds": interval.median,
        "low": interval.low,
        "high": interval.high,
        "first_seconds": answers[0]["seconds"],
        "seconds": seconds,
        "peak_resident_bytes": last["resident_most"],
        "peak_above_imports_bytes": last["resident_most"] - last["resident_before"],
        **{key: last[key] for key in ("macs", "params", "load_seconds") if key in last},
    }


# --- the files ------------------------------------------------------------------------------------------------------


def write_chain(path: Path, nodes: int = 10_000) -> Path:
    """A residual network of `nodes` nodes: Conv, BatchNormalization, Relu, Add, over and over."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    parts: list[Any] = []
    weights: list[Any] = []
    current = "x"
    for block in range(nodes // 4):
        tag = f"b{block}"
        shapes = {"w": (8, 8, 3, 3), "scale": (8,), "bias": (8,), "mean": (8,), "variance": (8,)}
        for key, shape in shapes.items():
            array = generator.uniform(0.5, 1.5, shape).astype(np.float32)
            weights.append(numpy_helper.from_array(array, f"{tag}_{key}"))
        statistics = [f"{tag}_{key}" for key in ("scale", "bias", "mean", "variance")]
        parts += [
            helper.make_node("Conv", [current, f"{tag}_w"], [f"{tag}_c"], f"{tag}_conv", pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", [f"{tag}_c", *statistics], [f"{tag}_n"], f"{tag}_norm"),
            helper.make_node("Relu", [f"{tag}_n"], [f"{tag}_r"], f"{tag}_relu"),
            helper.make_node("Add", [f"{tag}_r", current], [f"{tag}_y"], f"{tag}_add"),
        ]
        current = f"{tag}_y"
    shape = [1, 8, 16, 16]
    graph = helper.make_graph(
        parts,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(current, TensorProto.FLOAT, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def files(folder: Path) -> dict[str, Path]:
    """Exported networks of the zoo and the generated chain."""
    from rooftune import zoo

    found = {}
    for name in NETWORKS:
        print(f"exporting {name}", file=sys.stderr, flush=True)
        found[name] = zoo.export(name, folder / f"{name}.onnx")
    found[CHAIN] = write_chain(folder / "chain.onnx")
    return found


# --- the verdict ----------------------------------------------------------------------------------------------------


def goals(rows: Mapping[str, dict[str, Any]]) -> dict[str, bool]:
    """The goals that the measured files can speak to.

    Slower is what is so beyond doubt: the 95 % interval of the ratios paired by round lies below 1.
    """
    from rooftune.execute.statistics import ratio_interval

    found: dict[str, bool] = {}

    def slower(row: dict[str, Any], tool: str) -> bool:
        peer, own = row["tools"]["onnx-tool"]["seconds"], row["tools"][tool]["seconds"]
        count = min(len(peer), len(own))
        ratio = ratio_interval(peer[:count], own[:count])
        row["tools"][tool]["onnx_tool_over_this"] = {"median": ratio.median, "low": ratio.low, "high": ratio.high}
        return ratio.high < 1

    def median(row: Mapping[str, Any], tool: str) -> float | None:
        seconds = row["tools"].get(tool, {}).get("median_seconds")
        return float(seconds) if seconds is not None else None

    for name, row in rows.items():
        own, peer = (median(row, tool) for tool in ("rooftune", "onnx-tool"))
        assert own is not None
        if name == "resnet50":
            found["a network of 25 M parameters in less than 0.3 s"] = own < 0.3
        if name == CHAIN:
            found["10,000 nodes in less than 3 s"] = own < 3
        if peer is not None and row["file_bytes"] >= 10e6:
            found[f"counts not slower than onnx-tool on {name}"] = not slower(row, "rooftune counts")
            found[f"the whole analysis not slower than onnx-tool on {name}"] = not slower(row, "rooftune")
        if peer is not None and name == "vgg16":
            found["10 times faster than onnx-tool on vgg16"] = own * 10 <= peer
    return found


def show(rows: Mapping[str, Mapping[str, Any]], reached: Mapping[str, bool]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="From file to counts (median of the rounds; memory above what the imports hold)")
    for heading in ("file", "size", "tool", "seconds", "95 %", "first call", "memory", "MACs", "times ours"):
        table.add_column(heading, justify="left" if heading in ("file", "tool") else "right")
    for name, row in rows.items():
        own = row["tools"]["rooftune"].get("median_seconds")
        for place, (tool, t) in enumerate(row["tools"].items()):
            head = (name, f"{row['file_bytes'] / 1e6:,.1f} MB") if place == 0 else ("", "")
            if "refused" in t:
                table.add_row(*head, tool, t["refused"][:40])
                continue
            table.add_row(
                *head,
                tool,
                f"{t['median_seconds']:.3f}",
                f"{t['low']:.3f} to {t['high']:.3f}",
                f"{t['first_seconds']:.3f}",
                f"{t['peak_above_imports_bytes'] / 1e6:,.0f} MB",
                f"{t['macs']:,}",
                f"{t['median_seconds'] / own:.1f}" if own else "",
            )
        table.add_section()
    screen = Console(width=150)
    screen.print(table)
    for goal, met in reached.items():
        screen.print(f"{'reached' if met else 'MISSED '}  {goal}")


def main() -> int:
    """Race the tools on every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: four networks and a long chain")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--serve", choices=sorted(COUNTERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    with tempfile.TemporaryDirectory(prefix="rooftune-speed-") as folder:
        chosen = {path.stem: path for path in options.files} or files(Path(folder))
        rows = {}
        for name, path in chosen.items():
            print(f"racing on {name}", file=sys.stderr, flush=True)
            path.read_bytes()  # into the page cache
            rows[name] = {"file_bytes": path.stat().st_size, "tools": race(path, options.rounds)}
    reached = goals(rows)
    show(rows, reached)
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {p: version(p) for p in ("rooftune", "onnx", "onnx-ir", "onnx-tool", "onnxsim")},
        "rounds": options.rounds,
        "files": rows,
        "goals": reached,
    }
    RESULT.parent.mkdir(exist_ok=True)
    scratch = RESULT.with_suffix(".tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    scratch.replace(RESULT)
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
