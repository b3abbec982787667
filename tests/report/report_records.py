"""Records as a run would leave them: a ResNet50 with real layer shapes, optimised on a two-thread machine."""

from __future__ import annotations

import copy
import random
from functools import cache
from typing import Any

from rooftune.graph.text import model_of_text
from rooftune.machine.devices import find_machine
from rooftune.pipeline.rewrite import rewrite_graph

PEAKS = {"fp64": 88.4e9, "fp32": 176.9e9, "int8": 702.3e9, "bf16": 350.1e9}
BANDWIDTHS = {"L1": 690e9, "L2": 310e9, "L3": 92e9, "DRAM": 23.4e9}
CAUSES = ("padding", "utilisation", "traffic", "dispatch", "unfused", "residual")


def machine() -> dict[str, Any]:
    measured = {"kind": "measured", "source": "host probe", "date": "2026-11-20", "note": ""}
    engines = {"fp64": "FMA", "fp32": "FMA", "int8": "VNNI", "bf16": "AVX512_BF16"}
    return {
        "id": "host",
        "name": "Xeon at 2.8 GHz, 2 threads",
        "kind": "cpu",
        "threads": 2,
        "clock_hz": 2.8e9,
        "isa": ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"],
        "microarchitecture": "Sapphire Rapids",
        "date": "2026-11-20",
        "peaks": [
            {
                "format": name,
                "flops_per_second": peak * threads / 2,
                "threads": threads,
                "theoretical_flops_per_second": peak * threads / 2 * 1.013,
                "engine": "vector",
                "instruction": engines[name],
                "variation": 0.004,
                "standing": measured,
            }
            for name, peak in PEAKS.items()
            for threads in (1, 2)
        ],
        "levels": [
            {
                "name": name,
                "size_bytes": size,
                "shared": name in {"L3", "DRAM"},
                "bandwidths": [
                    {
                        "pattern": pattern,
                        "threads": threads,
                        "bytes_per_second": BANDWIDTHS[name] * share * (0.55 if threads == 1 else 1.0),
                        "stores": "ordinary",
                        "standing": measured,
                    }
                    for pattern, share in (("read", 1.0), ("copy", 0.8), ("triad", 0.85))
                    for threads in (1, 2)
                ],
            }
            for name, size in (("L1", 48 << 10), ("L2", 2 << 20), ("L3", 33 << 20), ("DRAM", None))
        ],
    }


def layers() -> list[dict[str, Any]]:
    """The convolutions, the pools and the classifier of ResNet50 at 224 × 224, with their work in fp32."""
    made: list[dict[str, Any]] = []

    def conv(name: str, cin: int, cout: int, kernel: int, size: int, stride: int, add: bool = False) -> None:
        out = size // stride
        macs = cin * cout * kernel * kernel * out * out
        moved = 4 * (cin * size * size + cout * out * out * (2 if add else 1) + cin * cout * kernel * kernel)
        op = "Conv + Add + Relu" if add else "Conv + Relu"
        made.append({"name": name, "op": op, "macs": macs, "flops": 2 * macs + cout * out * out, "bytes": moved})

    conv("/conv1/Conv", 3, 64, 7, 224, 2)
    made.append({"name": "/maxpool/MaxPool", "op": "MaxPool", "macs": 0, "flops": 9 * 64 * 56 * 56, "bytes": 4_014_080})
    cin, size = 64, 56
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 1 else 1
            prefix = f"/layer{stage}/layer{stage}.{block}"
            conv(f"{prefix}/conv1/Conv", cin, width, 1, size, 1)
            conv(f"{prefix}/conv2/Conv", width, width, 3, size, stride)
            if block == 0:
                conv(f"{prefix}/downsample/downsample.0/Conv", cin, 4 * width, 1, size, stride)
            conv(f"{prefix}/conv3/Conv", width, 4 * width, 1, size // stride, 1, add=True)
            cin, size = 4 * width, size // stride
    made.append(
        {"name": "/avgpool/GlobalAveragePool", "op": "GlobalAveragePool", "macs": 0, "flops": 100_352, "bytes": 409_600}
    )
    made.append({"name": "/Flatten", "op": "Flatten", "macs": 0, "flops": 0, "bytes": 0})
    made.append({"name": "/fc/Gemm", "op": "Gemm", "macs": 2_048_000, "flops": 4_097_000, "bytes": 8_208_096})
    return made


def roof_seconds(layer: dict[str, Any]) -> float:
    return max(layer["flops"] / PEAKS["fp32"], layer["bytes"] / BANDWIDTHS["DRAM"])


def profile(seed: int, efficiency: float, backend: str, names: str = "{}") -> dict[str, Any]:
    """A run in which every operator takes its lower bound over some share of the roof around `efficiency`."""
    chance = random.Random(seed)
    operators: list[dict[str, Any]] = []
    for layer in layers():
        roof = roof_seconds(layer)
        share = min(0.97, max(0.08, chance.gauss(efficiency, 0.12)))
        seconds = roof / share if roof else 1.4e-6
        weights = [chance.random() ** 2 for _ in CAUSES]
        ledger = {"roof": roof / seconds}
        ledger |= {c: (1 - ledger["roof"]) * w / sum(weights) for c, w in zip(CAUSES, weights, strict=True)}
        memory = layer["bytes"] / BANDWIDTHS["DRAM"] > layer["flops"] / PEAKS["fp32"]
        worst = max(CAUSES, key=lambda cause: ledger[cause])
        operators.append(
            {
                "name": names.format(layer["name"]),
                "op": layer["op"],
                "nodes": [layer["name"], layer["name"] + "_relu"],
                "seconds": seconds,
                "roof_seconds": roof,
                "share_of_roof": roof / seconds,
                "flops": layer["flops"],
                "executed_flops": layer["flops"],
                "bytes": layer["bytes"],
                "intensity": layer["flops"] / layer["bytes"] if layer["bytes"] else None,
                "level": "DRAM",
                "bound": "overhead" if not roof else "memory" if memory else "compute",
                "flops_per_second": layer["flops"] / seconds,
                "bytes_per_second": layer["bytes"] / seconds,
                "cause": worst,
                "ledger": ledger,
            }
        )
    attributed = sum(o["seconds"] for o in operators)
    total = attributed / 0.978
    for operator in operators:
        operator["share"] = operator["seconds"] / total
    ledger = {c: sum(o["ledger"][c] * o["share"] for o in operators) for c in ("roof", *CAUSES)}
    ledger["residual"] += 0.022
    return {
        "backend": backend,
        "settings": {},
        "threads": 2,
        "model_seconds": total,
        "attributed_share": 0.978,
        "residual_seconds": total - attributed,
        "kernels": [],
        "operators": operators,
        "ledger": ledger,
        "counterfactuals": [
            {
                "name": "hot weights",
                "operator": "/fc/Gemm",
                "seconds": 2.1e-4,
                "baseline_seconds": 3.6e-4,
                "conclusion": "with its weights in cache the operator takes 58 % of the time: they come from DRAM",
            }
        ],
    }


def analysis() -> dict[str, Any]:
    groups = []
    for layer in layers():
        roof = roof_seconds(layer)
        memory = layer["bytes"] / BANDWIDTHS["DRAM"] > layer["flops"] / PEAKS["fp32"]
        groups.append(
            {
                "name": layer["name"],
                "op": layer["op"],
                "nodes": [layer["name"]],
                "format": "fp32",
                "macs": layer["macs"],
                "flops": layer["flops"],
                "executed_flops": layer["flops"],
                "bytes": layer["bytes"],
                "intensity": layer["flops"] / layer["bytes"] if layer["bytes"] else None,
                "attainable_flops_per_second": 176.9e9,
                "level": "DRAM",
                "bound": "memory" if memory else "compute",
                "roof_seconds": roof,
                "predicted_seconds": roof / 0.8 + 2e-6,
                "utilisation": 0.8,
                "overhead_seconds": 2e-6,
            }
        )
    flops, moved = sum(g["flops"] for g in groups), sum(g["bytes"] for g in groups)
    return {
        "machine": "host",
        "threads": 2,
        "format": "fp32",
        "backend_groups": "onnxruntime",
        "totals": {
            "params": 25_557_032,
            "learnable_params": 25_530_472,
            "buffers": 26_560,
            "macs": sum(g["macs"] for g in groups),
            "executed_macs": round(sum(g["macs"] for g in groups) * 0.974),
            "flops": flops,
            "bytes": {"textbook": 2.4 * moved, "unfused": 2.1 * moved, "fused": moved, "ideal": 0.55 * moved},
            "footprint_bytes": 112_000_000,
            "weight_bytes": 102_228_128,
            "coverage": 0.992,
            "unknown_bytes_share": 0.0004,
            "roof_seconds": sum(g["roof_seconds"] for g in groups),
            "predicted_seconds": sum(g["predicted_seconds"] for g in groups),
            "intensity": flops / moved,
            "bound": "compute",
        },
        "conventions": [
            {
                "name": "MACs over weights and outputs, every node",
                "macs_or_flops": flops // 2,
                "bytes": 2.4 * moved,
                "intensity": 11.3,
                "explanation": "one operation per MAC; Conv, BatchNormalization and Relu each with an output",
            },
            {
                "name": "fused view",
                "macs_or_flops": flops,
                "bytes": moved,
                "intensity": flops / moved,
                "explanation": "counts two FLOPs per MAC and only the bytes that cross the borders of fused groups",
            },
        ],
        "groups": groups,
        "nodes": [],
        "unknown": [{"node": "/custom/Vendor", "op": "vendor::Stamp", "reason": "no formula for domain vendor"}],
    }


def optimised() -> dict[str, Any]:
    """A finished `rooftune optimize` of ResNet50."""
    before, after = profile(1, 0.52, "onnxruntime"), profile(2, 0.74, "openvino", "{}/fused")
    seconds, best = before["model_seconds"], after["model_seconds"]
    gain = seconds / best
    ort, ov = {"graph_optimization": "all"}, {"precision": "f32", "streams": 1}

    def candidate(name: str, backend: str, settings: dict[str, Any], threads: int, time: float) -> dict[str, Any]:
        return {
            "name": name,
            "backend": backend,
            "settings": settings,
            "threads": threads,
            "status": "measured",
            "seconds": time,
            "low": time * 0.99,
            "high": time * 1.015,
            "runs": 60,
            "load_seconds": 0.31,
            "items_per_second": 1 / time,
            "error": None,
            "verified": True,
            "reason": "",
        }

    failed = {
        "name": "openvino, 4 streams",
        "backend": "openvino",
        "settings": {"streams": 4},
        "threads": 2,
        "status": "failed",
        "seconds": None,
        "low": None,
        "high": None,
        "runs": 0,
        "load_seconds": None,
        "items_per_second": None,
        "error": "more streams than usable threads (4 > 2)",
        "verified": None,
        "reason": "",
    }
    refused = {
        **failed,
        "name": "openvino, bf16",
        "settings": {"precision": "bf16"},
        "status": "refused",
        "error": None,
        "reason": "lowers precision, and no loss was allowed",
    }
    return {
        "schema": 1,
        "kind": "optimize",
        "rooftune": "0.1.0",
        "created": "2026-11-20T23:50:00Z",
        "command": ["rooftune", "optimize", "resnet50.onnx", "--threads", "2"],
        "verdict": "",
        "model": {
            "name": "resnet50",
            "path": "resnet50.onnx",
            "bytes_on_disk": 102_442_450,
            "opset": 17,
            "producer": "pytorch 2.8",
            "nodes": 124,
            "inputs": [{"name": "input", "dtype": "float32", "shape": [1, 3, 224, 224]}],
            "outputs": [{"name": "output", "dtype": "float32", "shape": [1, 1000]}],
            "warnings": [],
        },
        "machine": machine(),
        "environment": {
            "python": "3.11.9",
            "platform": "Linux-6.8-x86_64",
            "cpu": "Intel Xeon",
            "affinity": [0, 1],
            "quota": None,
            "load_average": [0.12, 0.2, 0.31],
            "versions": {"onnxruntime": "1.31.1", "openvino": "2026.3", "numpy": "2.4"},
        },
        "settings": {
            "threads": 2,
            "objective": "latency",
            "backends": ["onnxruntime", "openvino"],
            "budget_seconds": 60,
            "seed": 0,
            "inputs": "random, seed 0",
            "shapes": {},
        },
        "analysis": analysis(),
        "baseline": {
            "name": "onnxruntime, default",
            "backend": "onnxruntime",
            "settings": ort,
            "threads": 2,
            "seconds": seconds,
        },
        "best": {"name": "openvino, 1 stream", "backend": "openvino", "settings": ov, "threads": 2, "seconds": best},
        "speedup": {
            "median": gain,
            "low": gain * 0.985,
            "high": gain * 1.016,
            "pairs": 40,
            "twin": {"median": 1.002, "low": 0.996, "high": 1.009},
            "settled": True,
        },
        "verification": {
            "passed": True,
            "max_relative_error": 3.1e-6,
            "tolerance": 1e-5,
            "exactness": "reassociates",
            "reference": "onnxruntime, all optimisation off",
            "reason": "",
            "outputs": [{"name": "output", "max_relative_error": 3.1e-6, "spread": 4.2}],
        },
        "steps": [
            {
                "name": "openvino",
                "kind": "engine",
                "predicted_gain": None,
                "measured_gain": gain * 0.97,
                "kept": True,
                "reason": "fastest verified engine",
            },
            {
                "name": "threads",
                "kind": "tune",
                "predicted_gain": 1.05,
                "measured_gain": 1.03,
                "kept": True,
                "reason": "",
            },
            {
                "name": "one stream per core",
                "kind": "tune",
                "predicted_gain": 1.1,
                "measured_gain": 0.93,
                "kept": False,
                "reason": "slower for a single request",
            },
        ],
        "candidates": [
            candidate("onnxruntime, default", "onnxruntime", ort, 2, seconds),
            candidate("openvino, 1 stream", "openvino", ov, 2, best),
            candidate("onnxruntime, extended", "onnxruntime", {"graph_optimization": "extended"}, 2, seconds * 1.11),
            candidate("onnxruntime, 1 thread", "onnxruntime", ort, 1, seconds * 1.83),
            candidate("openvino, 1 thread", "openvino", ov, 1, best * 1.9),
            failed,
            refused,
        ],
        "refused": [
            {"what": "bf16 arithmetic", "reason": "lowers precision, and no loss was allowed"},
            {"what": "GPU", "reason": "no device is present"},
        ],
        "profiles": {"before": before, "after": after},
        "method": [
            "Candidates took turns, each in a process of its own, 50 ms apart; the time is the median of 60 runs.",
            "The speed-up comes from a race of 40 pairs after the choice; its twin read 1.002 (0.996 – 1.009).",
            "Inputs are random, seed 0; nothing was measured on zeros.",
        ],
    }


def analysed() -> dict[str, Any]:
    """A `rooftune analyze`: nothing was run."""
    record = optimised()
    kept = ("schema", "rooftune", "created", "model", "machine", "environment", "settings", "analysis")
    return {
        "kind": "analyze",
        "command": ["rooftune", "analyze", "resnet50.onnx"],
        **{key: record[key] for key in kept},
    }


def profiled() -> dict[str, Any]:
    """A `rooftune profile`: one run, nothing compared."""
    record = optimised()
    profile_only = {"before": record["profiles"]["before"], "after": None}
    return {**analysed(), "kind": "profile", "profiles": profile_only, "method": record["method"][:1]}


NETWORK = """(float[1,3,16,16] x) => (float[1,8,1,1] y, float[1,8,12,12] seen)
<float[8,3,3,3] w1, float[8] s1, float[8] b1, float[8] m1, float[8] var1,
 float[8,8,1,1] w2, float[8] s2, float[8] b2, float[8] m2, float[8] var2,
 float[8,8,3,3] w3, float[8] s3, float[8] b3, float[8] m3, float[8] var3>
{ /stem/conv = Conv(x, w1)
  /stem/norm = BatchNormalization(/stem/conv, s1, b1, m1, var1)
  /stem/relu = Relu(/stem/norm)
  /body/conv = Conv(/stem/relu, w2)
  /body/norm = BatchNormalization(/body/conv, s2, b2, m2, var2)
  /body/sum = Add(/body/norm, /stem/relu)
  seen = Conv(/body/sum, w3)
  /tail/norm = BatchNormalization(seen, s3, b3, m3, var3)
  y = GlobalAveragePool(/tail/norm) }"""
"""Two normalisations that fold into the convolution before them, and one that may not: `seen` is an output."""


@cache
def _rewritten() -> dict[str, Any]:
    text = NETWORK.replace("/", "_")
    machine = find_machine("intel-xeon-platinum-8480plus", None)
    outcome = rewrite_graph(model_of_text(text), only=["fold_batchnorm_into_conv"], machine=machine)
    return outcome.record.to_json()


def rewritten() -> dict[str, Any]:
    """A `rooftune rewrite` of a small network, as it really ended."""
    return copy.deepcopy(_rewritten())


def hostile_rewritten() -> dict[str, Any]:
    """The same with changes nobody should be able to use, and far too many of them."""
    record = rewritten()
    section = record["rewrite"]
    section["notes"] = [HOSTILE, "\x1b[31mred"]
    for change in section["changes"]:
        change["node"] = HOSTILE
        change["before"] = [f"{line} {HOSTILE}" for line in change["before"]]
    odd = {
        "rule": HOSTILE,
        "node": "/very/long" + "/scope" * 2000,
        "before": [HOSTILE, "y = Relu(" + "x" * 50_000 + ")", "\u202e = Relu(\x1b[31m)", *["b = Relu(a)"] * 100],
        "after": [f"c = {HOSTILE}(b)", "t</title><script>alert(3)</script> = <i>Relu(x)"],
        "flops_delta": None,
    }
    picture = {
        "rule": "drawn",
        "node": "n",
        "before": ["<b>y</b> = Relu(<img/src=x>)"],
        "after": ["<b>y</b> = Conv(&lt;)"],
    }
    many = [{"rule": "many", "node": f"node{i}", "before": [f"y{i} = Relu(x)"], "after": []} for i in range(3000)]
    section["changes"] += [odd, picture, *many]
    section["applied"].append({"rule": HOSTILE, "count": "many", "nodes_delta": None, "seconds_delta": "soon"})
    section["refused"].append({"rule": HOSTILE, "node": HOSTILE, "reason": HOSTILE})
    return record


def empty() -> dict[str, Any]:
    """A record of which nothing is known."""
    return {}


HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)"><b>bold</b> %{x} {{ 7*7 }} <!--'


def hostile() -> dict[str, Any]:
    """Names that try to become markup, terminal codes or very long lines."""
    record = copy.deepcopy(optimised())
    record["model"]["name"] = HOSTILE
    record["machine"]["name"] = "\x1b[31mred\x1b[0m [bold]rich[/bold] \u202eevil\u2028line\ud800"
    operators = record["profiles"]["after"]["operators"]
    operators[0]["name"] = HOSTILE
    operators[1]["name"] = "/very/long" + "/scope" * 2000
    operators[2]["op"] = "[red]Conv[/red]"
    operators[3]["cause"] = HOSTILE
    record["refused"].append({"what": HOSTILE, "reason": "[/] ]]> \x07"})
    record["environment"]["versions"][HOSTILE] = HOSTILE
    return record


def huge(count: int = 5000) -> dict[str, Any]:
    """A profile of `count` operators."""
    record = copy.deepcopy(profiled())
    before = record["profiles"]["before"]
    chance = random.Random(3)
    templates = before["operators"]
    operators = []
    for index in range(count):
        made = dict(templates[index % len(templates)])
        made["name"] = f"/block{index // 10}/op{index}"
        made["seconds"] = made["seconds"] * chance.uniform(0.5, 1.5)
        made["share"] = None
        operators.append(made)
    before["operators"] = operators
    before["model_seconds"] = sum(o["seconds"] for o in operators)
    return record
