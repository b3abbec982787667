"""What the layers of `convolutions.py` show: the goals they reach, and the table for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rooftune.machine.topology import read_topology

__all__ = ["BASELINE", "ENGINES", "OURS", "geometric_mean", "goals", "show"]

BASELINE, OURS = "onnxruntime", "native"
ENGINES = (BASELINE, "openvino", "ncnn", OURS)
TOLERANCE, NOT_BELOW, MEAN_OVER_BEST, WINOGRAD_GAIN = 1e-5, 0.97, 1.05, 2.2
CACHED_SHARE, LAYER_SHARE = 0.93, 0.85
WIDE = 64
"""Channels from which a layer is held to the goals of Winograd's algorithm and of the direct kernels."""


def goals(
    rows: Mapping[str, Mapping[str, Any]], cached: Mapping[str, Mapping[str, Any]], threads: int
) -> dict[str, bool]:
    """What was to be shown, and whether it was."""
    reached: dict[str, bool] = {}
    for name, row in rows.items():
        best, over = row["over_best_peer"], row["over_onnxruntime"]
        if best is None or over is None:
            reached[f"{name}: it runs"] = False
            continue
        error = row["engines"][OURS]["error"]
        reached[f"{name}: error at most {TOLERANCE:g}"] = error is not None and error <= TOLERANCE
        reached[f"{name}: not below {NOT_BELOW} of {best['peer']}, {_said(best)}"] = best["high"] >= NOT_BELOW
        if _winograd_wins(row):
            reached[f"{name}: {WINOGRAD_GAIN} times ONNX Runtime, {_said(over)}"] = over["median"] >= WINOGRAD_GAIN
    if (mean := geometric_mean(rows)) is not None:
        goal = f"geometric mean over the best peer at least {MEAN_OVER_BEST}, {mean:.3f}"
        reached[goal] = mean >= MEAN_OVER_BEST
    if threads == 1:
        wide = {n: r for n, r in rows.items() if min(r["inputs"], r["outputs"]) >= WIDE}
        for where, least in ((cached, CACHED_SHARE), (wide, LAYER_SHARE)):
            for name, row in where.items():
                if (share := row["direct_share_of_peak"]) is not None:
                    goal = f"{name}: direct at least {least:.0%} of the peak, {share['median']:.1%}"
                    reached[goal] = share["median"] >= least
    return reached


def _winograd_wins(row: Mapping[str, Any]) -> bool:
    """True for the layers that are to gain by Winograd's algorithm."""
    plain = row["kernel"] == 3 and row["stride"] == row["groups"] == row["dilation"] == 1
    return bool(plain and min(row["inputs"], row["outputs"]) >= WIDE and row["size"] >= 28)


def geometric_mean(rows: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Of how many times as fast as the best peer ours is."""
    ratios = [best["median"] for row in rows.values() if (best := row["over_best_peer"]) and best["median"] > 0]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def _said(ratio: Mapping[str, Any]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def show(rows: Mapping[str, Mapping[str, Any]], cached: Mapping[str, Mapping[str, Any]], threads: int) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    engines = [e for e in ENGINES if any(e in row["engines"] for row in rows.values())]
    title = f"GFLOP/s of convolutions as written, fp32, threads {threads}, on {read_topology().name}"
    table = Table(title=title)
    left = ("layer", "ours")
    headings = ("layer", *engines, "ms", "times ONNX Runtime", "times the best peer", "direct / peak", "ours")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    for name, row in rows.items():
        found, over, best, share = (
            row[k] for k in ("engines", "over_onnxruntime", "over_best_peer", "direct_share_of_peak")
        )
        table.add_row(
            name,
            *(f"{found[e]['flops_per_second'] / 1e9:.1f}" if e in found else "-" for e in engines),
            f"{1e3 * found[OURS]['seconds']['median']:.3f}" if OURS in found else "-",
            _said(over) if over else "-",
            f"{_said(best)} {best['peer']}" if best else "-",
            f"{share['median']:.1%}" if share else "",
            _settings(row["schedule"]),
        )
    screen = Console(width=190)
    screen.print(table)
    if (mean := geometric_mean(rows)) is not None:
        screen.print(f"geometric mean over the best peer: {mean:.3f}")
    warm = [name for name, row in rows.items() if not row["cold"]]
    if warm:
        screen.print(
            f"{len(warm)} layers are so small, or so much work, that not all weights were cold: see the record"
        )
    for name, row in cached.items():
        if row["direct_share_of_peak"]:
            screen.print(f"{name}: direct at {row['direct_share_of_peak']['median']:.1%} of the peak")


def _settings(schedule: Mapping[str, Any]) -> str:
    """`winograd, tile 4, batch 56, columns 14, vectors 2`."""
    if "refused" in schedule:
        return str(schedule["refused"])
    settings = (k if v is True else f"{k} {v}" for k, v in schedule.items() if k != "kernel" and v is not False)
    return ", ".join([schedule["kernel"], *settings])
