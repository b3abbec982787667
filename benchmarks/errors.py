"""How exact compiled networks are: errors against PyTorch in double precision, with and without approximating formulas.

Networks come from the zoo with seeded weights. An error is the largest absolute difference over the largest absolute
value of the result. `approximates` may choose Winograd's and Fourier's algorithms (as guessed: nothing is timed here),
`reassociates` (`--exactness reassociates`) computes convolutions as they are written; ONNX Runtime unoptimised beside
them says what fp32 costs anyway.

Goals: errors ≤ 1e-5, and ≤ 5e-6 where convolutions are computed as written.

Writes results/errors.json, prints a table, and ends with 1 and the list of what was missed.

Usage: python benchmarks/errors.py [--only PATTERN ...] [--batch N]
Needs: pip install rooftune[torch] -c constraints.txt
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accuracy import error_of
from engines import NETWORKS, WEIGHTS_SEED, example, reference
from goals import conclude
from record import write_record

from rooftune import zoo
from rooftune.execute.backend import Candidate, find_backend
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.competitor import Entry
from rooftune.machine.topology import read_topology

RESULTS = Path(__file__).parent / "results"
LIMITS = {"approximates": 1e-5, "reassociates": 5e-6}


def candidates() -> dict[str, Candidate]:
    """Who computes, by exactness."""
    first, *others = find_backend("native").space(1)
    plain = next(c for c in others if not c.settings["winograd"])
    ours = {"approximates": first, "reassociates": plain}
    guessed = {name: replace(c, settings={**c.settings, "tune_seconds": 0.0}) for name, c in ours.items()}
    return {"onnxruntime": reference_candidate(), **guessed}


def run(network: str, batch: int) -> dict[str, float | None]:
    """The errors of everybody on one network."""
    with tempfile.TemporaryDirectory(prefix="rooftune-errors-") as folder:
        path = zoo.export(network, Path(folder) / f"{network}.onnx", batch, seed=WEIGHTS_SEED, fold_batchnorm=True)
        inputs = example(network, batch)
        expected = reference(network, inputs)
        return {name: error_of(Entry(one, path), inputs, expected) for name, one in candidates().items()}


def goals(network: str, errors: Mapping[str, float | None]) -> dict[str, bool]:
    """What was to be shown on one network, and whether it was."""
    reached = {}
    for name, limit in LIMITS.items():
        error = errors[name]
        text = "it failed" if error is None else f"{error:.1e}"
        reached[f"{network}: {name} within {limit:g}, {text}"] = error is not None and error <= limit
    return reached


def show(rows: Mapping[str, Mapping[str, float | None]]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Largest error over largest value, against PyTorch in double precision")
    table.add_column("network")
    for heading in ("onnxruntime", *LIMITS):
        table.add_column(heading, justify="right")
    for network, errors in rows.items():
        cells = (errors[name] for name in ("onnxruntime", *LIMITS))
        table.add_row(network, *("-" if error is None else f"{error:.1e}" for error in cells))
    Console(width=100).print(table)


def main() -> int:
    """Compare every network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="networks of the zoo, * and ? allowed")
    parser.add_argument("--batch", type=int, default=1, help="images of a run")
    parser.add_argument("--out", type=Path, default=RESULTS / "errors.json", help="file of the record")
    parser.add_argument("--json", action="store_true", help="print the record instead of the table")
    options = parser.parse_args()
    patterns = options.only or NETWORKS
    networks = [name for name in zoo.names() if any(fnmatch.fnmatch(name, p) for p in patterns)]
    if not networks or options.batch < 1:
        parser.error(f"a batch of at least one, and networks among {', '.join(zoo.names())}")
    rows: dict[str, Any] = {}
    reached: dict[str, bool] = {}
    for network in networks:
        print(network, file=sys.stderr, flush=True)
        rows[network] = run(network, options.batch)
        reached |= goals(network, rows[network])
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": read_topology().name,
        "versions": {name: version(name) for name in ("llvmlite", "onnxruntime", "torch")},
        "batch": options.batch,
        "networks": rows,
        "goals": reached,
    }
    write_record(options.out, record)
    return conclude(record, options.json, lambda: show(rows))


if __name__ == "__main__":
    sys.exit(main())
