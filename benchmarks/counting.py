"""Multiply-accumulates and parameters against four counters and the published figures, network by network.

Everybody is asked for the same thing: convolutions and matrix products. Biases that onnx-tool adds to those nodes are
taken out again (one per output element). What the counters make of everything else is shown apart, because there
each has its own convention. Writes `results/counting.json`, prints a table, and ends with 1 where a figure differs.

Networks of the zoo are exported with random weights; the light models come with the onnx package.

Usage: python benchmarks/counting.py [NETWORK ...]
Needs: pip install rooftune[torch,bench] -c constraints.txt
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnx_tool
from fvcore.nn import FlopCountAnalysis
from onnxsim.model_info import ModelInfo
from rich.console import Console
from rich.table import Table

from rooftune import zoo
from rooftune.analysis.parameters import count_parameters
from rooftune.analysis.tensors import shared_storage
from rooftune.analysis.work import model_work
from rooftune.graph.load import load
from rooftune.ops import Work

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
RESULT = Path(__file__).parent / "results/counting.json"
CONTRACTIONS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
FVCORE_CONTRACTIONS = {"conv", "linear", "matmul", "addmm", "bmm", "mm", "einsum"}
PEERS = ("torch", "fvcore", "onnxsim", "onnx-tool")


def ours(path: Path) -> dict[str, Any]:
    """MACs, parameters, and elementwise operations by class."""
    model = load(path)
    nodes = model_work(model)
    works = [n.work for n in nodes if isinstance(n.work, Work)]
    elementwise: Counter[str] = Counter()
    for work in works:
        elementwise.update({kind: int(count) for kind, count in work.elementwise.items()})
    return {
        "macs": sum(int(w.macs) for w in works),
        "params": int(count_parameters(nodes, shared_storage(model)).learnable),
        "elsewhere": dict(elementwise),
        "coverage": len(works) / len(nodes),
    }


def by_torch(name: str) -> dict[str, Any]:
    """FlopCounterMode / 2, on tensors without memory."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module = zoo.blueprint(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*zoo.example_inputs(name, device="meta"))
    return {"macs": counter.get_total_flops() // 2, "params": sum(p.numel() for p in module.parameters())}


def by_fvcore(name: str) -> dict[str, Any]:
    """fvcore, whose "flop" is one per multiply-accumulate."""
    count = FlopCountAnalysis(zoo.build(name), zoo.example_inputs(name))
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    found = {kind: int(number) for kind, number in count.by_operator().items()}
    return {
        "macs": sum(number for kind, number in found.items() if kind in FVCORE_CONTRACTIONS),
        "elsewhere": {kind: number for kind, number in found.items() if kind not in FVCORE_CONTRACTIONS},
        "not_counted": dict(count.unsupported_ops()),
    }


def by_onnx_tool(path: Path) -> dict[str, Any]:
    """onnx-tool, operator by operator, with the biases of convolutions and Gemm moved to the rest."""
    graph = onnx_tool.Model(str(path), {"verbose": False}).graph
    graph.graph_reorder_nodes()
    graph.shape_infer({})
    graph.profile()
    macs = 0
    elsewhere: Counter[str] = Counter()
    for node in graph.nodemap.values():
        number = int(node.macs[0] if isinstance(node.macs, list | tuple) else node.macs)
        if node.op_type not in CONTRACTIONS:
            elsewhere[node.op_type] += number
            continue
        bias = 0
        if node.op_type != "MatMul" and len(node.input) > 2:
            bias = math.prod(graph.tensormap[node.output[0]].get_shape())
        macs += number - bias
        elsewhere["bias"] += bias
    return {"macs": macs, "params": int(graph.params), "elsewhere": {k: v for k, v in elsewhere.items() if v}}


def by_onnxsim(path: Path) -> dict[str, Any]:
    """onnxsim, which counts nothing but contractions."""
    return {"macs": int(ModelInfo(onnx.load(path)).macs)}


def attempt(count: Any, argument: Any) -> dict[str, Any]:
    """What a peer counts, or the reason it gives for not counting; its chatter is kept off the screen."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, Any] = count(argument)
            return found
    except Exception as why:  # peers raise what they like
        return {"refused": f"{type(why).__name__}: {str(why).splitlines()[0] if str(why) else ''}"[:200]}


def compare(name: str, path: Path) -> dict[str, Any]:
    """One row: our count, the published one and that of each peer."""
    in_zoo = name in zoo.names()
    row: dict[str, Any] = {"network": name, "ours": ours(path)}
    if in_zoo:
        published = zoo.oracle(name)
        row["oracle"] = {"params": published.params, "gmacs": published.gmacs, "source": published.source}
        row["oracle_agrees"] = published.agrees(row["ours"]["macs"]) and published.params == row["ours"]["params"]
        row["torch"] = attempt(by_torch, name)
        row["fvcore"] = attempt(by_fvcore, name)
    row["onnxsim"] = attempt(by_onnxsim, path)
    row["onnx-tool"] = attempt(by_onnx_tool, path)
    row["differs_from"] = [p for p in PEERS if row.get(p, {}).get("macs", row["ours"]["macs"]) != row["ours"]["macs"]]
    return row


def cell(row: Mapping[str, Any], peer: str) -> str:
    """`=` for the same number, the number where it differs, `refused`, or nothing where the peer was not asked."""
    found = row.get(peer)
    if found is None:
        return ""
    if "refused" in found:
        return "refused"
    return "=" if found["macs"] == row["ours"]["macs"] else f"{found['macs']:,}"


def elsewhere(row: Mapping[str, Any], peer: str) -> str:
    """Everything that is not a convolution or a matrix product, in millions."""
    found = row.get(peer, {}).get("elsewhere")
    return "" if found is None else f"{sum(found.values()) / 1e6:,.1f}"


def show(rows: list[dict[str, Any]]) -> None:
    """The table for people."""
    table = Table(title="MACs in convolutions and matrix products (“=”: the same number)")
    for heading in ("network", "params", "MACs", "published", *PEERS):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    rest = Table(title="Operations elsewhere, in millions, each counter by its own convention")
    for heading in ("network", "ours", "fvcore", "onnx-tool"):
        rest.add_column(heading, justify="left" if heading == "network" else "right")
    for row in rows:
        published = row.get("oracle")
        text = "" if published is None else f"{published['gmacs']} G {'✓' if row['oracle_agrees'] else '✗'}"
        macs, params = row["ours"]["macs"], row["ours"]["params"]
        table.add_row(row["network"], f"{params:,}", f"{macs:,}", text, *(cell(row, p) for p in PEERS))
        rest.add_row(row["network"], *(elsewhere(row, p) for p in ("ours", "fvcore", "onnx-tool")))
    screen = Console(width=150)
    screen.print(table)
    screen.print(rest)
    screen.print(
        "ours: one per addition, comparison, exponential, ...; fvcore: normalisations and poolings only; "
        "onnx-tool: weights them (exp 32) and adds biases."
    )


def main() -> int:
    """Count every network asked for; 0 when all agree on the contractions."""
    light = {path.stem: path for path in sorted(LIGHT.glob("*.onnx"))}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: the zoo and the light models")
    wanted = parser.parse_args().networks or [*zoo.names(), *light]
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    rows = []
    with tempfile.TemporaryDirectory(prefix="rooftune-counting-") as folder:
        for name in wanted:
            print(name, file=sys.stderr, flush=True)
            path = light.get(name) or zoo.export(name, Path(folder) / f"{name}.onnx")
            rows.append(compare(name, path))
            if name not in light:
                path.unlink()
    show(rows)
    versions = {p: version(p) for p in ("rooftune", "torch", "fvcore", "onnx-tool", "onnxsim")}
    record = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions, "rows": rows}
    write(record)
    wrong = [r["network"] for r in rows if r["differs_from"] or not r.get("oracle_agrees", True)]
    print(f"{len(rows) - len(wrong)} of {len(rows)} networks agree" + (f"; not: {', '.join(wrong)}" if wrong else ""))
    return 1 if wrong else 0


def write(record: Mapping[str, Any]) -> None:
    """Replace the result file whole."""
    RESULT.parent.mkdir(exist_ok=True)
    scratch = RESULT.with_suffix(".tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    scratch.replace(RESULT)


if __name__ == "__main__":
    sys.exit(main())
