"""How much of the measured time the profile can pin on source operators, per engine, on the light models.

Every measurement is made twice, by two processes of the same engine in turns: their disagreement says how far the
figures can be trusted. Weights are seeded random numbers. Writes `results/attribution.json` and prints a table.

Usage: python benchmarks/attribution.py [--threads N] [--runs N] [MODEL ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx

from rooftune.execute.backend import present_backends
from rooftune.execute.competitor import Entry
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.profile import Profile
from rooftune.execute.race import race
from rooftune.execute.worker import Worker
from rooftune.graph.seeded_weights import with_random_weights

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
RESULT = Path(__file__).parent / "results/attribution.json"


def measure(path: Path, backend: Any, threads: int, runs: int) -> dict[str, Any]:
    """Two profiles by two processes, and the A/A twin of the same engine without profiling."""
    candidate = backend.default(threads)
    with Worker(candidate, path) as first, Worker(candidate, path) as second:
        inputs = random_inputs(first.loaded.inputs)
        profiles: list[Profile] = []
        for worker in (first, second):
            worker.feed(inputs)
            profiles.append(worker.profile(runs))
    raced = race([Entry(candidate, path)], inputs, budget_seconds=5.0)
    one, two = profiles
    return {
        "backend": backend.name,
        "version": backend.version(),
        "candidate": candidate.to_json(),
        "model_seconds": [p.model_seconds for p in profiles],
        "profiled_seconds": [p.profiled_seconds for p in profiles],
        "kernel_seconds": [p.kernel_seconds for p in profiles],
        "residual_share": [p.residual_seconds / p.model_seconds for p in profiles],
        "attributed_share": [p.attributed_share for p in profiles],
        "kernels": len(one.kernels),
        "share_by_how": {how: share(one, how) for how in ("tensors", "name", "layout", "neighbour", "")},
        "same_attribution_twice": owners(one) == owners(two),
        "twin": {"median": raced.twin.median, "low": raced.twin.low, "high": raced.twin.high} if raced.twin else None,
        "settled": raced.settled,
    }


def share(profile: Profile, how: str) -> float:
    """Share of kernel time whose source nodes were found this way."""
    return sum(k.seconds for k in profile.kernels if k.how == how) / profile.kernel_seconds


def owners(profile: Profile) -> dict[str, tuple[str, ...]]:
    return {k.name: k.source_nodes for k in profile.kernels}


def write(rows: list[dict[str, Any]], threads: int, runs: int) -> None:
    """What is known so far; called after every measurement, so that a run that is broken off leaves its rows."""
    least = min(min(row["attributed_share"]) for row in rows)
    settings = {"threads": threads, "runs": runs, "date": datetime.now(UTC).isoformat("T", "seconds")}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**settings, "least_attributed_share": least, "rows": rows}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names of light models, all by default")
    parser.add_argument("--threads", type=int, default=len(usable_cpus()))
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    files = sorted(LIGHT.glob("light_*.onnx"))
    chosen = [f for f in files if not options.models or f.stem.removeprefix("light_") in options.models]
    rows: list[dict[str, Any]] = []
    print(f"{'model':14} {'engine':12} {'ms':>8} {'attributed':>11} {'residual':>9} {'twins':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for file in chosen:
            path = with_random_weights(file, Path(folder) / file.name)
            for backend in present_backends()[0].values():
                row = {
                    "model": file.stem.removeprefix("light_"),
                    **measure(path, backend, options.threads, options.runs),
                }
                rows.append(row)
                write(rows, options.threads, options.runs)
                twin = f"{row['twin']['median']:.3f}" if row["twin"] else "none"
                print(
                    f"{row['model']:14} {row['backend']:12} {min(row['model_seconds']) * 1e3:8.2f}"
                    f" {min(row['attributed_share']):11.2%} {max(row['residual_share']):9.1%} {twin:>7}"
                    + ("" if row["settled"] else "  (not settled)"),
                    flush=True,
                )
            path.unlink()
    least = min(min(row["attributed_share"]) for row in rows)
    print(f"least attributed: {least:.2%}")
    sys.exit(0 if least >= 0.95 else 1)


if __name__ == "__main__":
    main()
