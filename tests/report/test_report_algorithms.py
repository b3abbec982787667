"""Why an algorithm was chosen: the times of the others stand beside it."""

from __future__ import annotations

import io

from rich.console import Console

from rooftune.report import render_html, render_text
from rooftune.report.algorithms import algorithm_table

KERNEL = {
    "name": "step3",
    "type": "winograd",
    "seconds": 0.7e-3,
    "nodes": ["conv1", "relu1"],
    "algorithm": {
        "name": "winograd F(4×4) 14×2",
        "arithmetic": 0.31,
        "compared": [
            {"name": "winograd F(4×4) 14×2", "seconds": 0.6e-3, "measured": True, "weight_bytes": 100},
            {"name": "winograd F(2×2) 14×2", "seconds": 0.9e-3, "measured": True, "weight_bytes": 50},
            {"name": "direct 14×2", "seconds": 1.9e-3, "measured": False, "weight_bytes": 25},
        ],
    },
}
OPERATOR = {"name": "conv1+relu1", "op": "Conv+Relu", "nodes": ["conv1", "relu1"], "seconds": 0.7e-3}
RECORD = {
    "kind": "optimize",
    "profiles": {
        "after": {
            "model_seconds": 1e-3,
            "kernels": [{"name": "pool", "type": "pool", "seconds": 1e-4, "nodes": ["pool"]}, KERNEL],
            "operators": [
                {**OPERATOR, "share_of_roof": 0.87, "roof_seconds": 0.6e-3, "ledger": {"roof": 1.0}},
                {**OPERATOR, "name": "clear3", "op": "clear", "share_of_roof": None, "seconds": 1e-6},
            ],
        }
    },
}


def test_losers_stand_with_their_times() -> None:
    table = algorithm_table(RECORD)
    ((operator, algorithm, seconds, *rest),) = table.rows
    assert (operator.text, algorithm.text, seconds.text) == ("conv1+relu1", "winograd F(4×4) 14×2", "700 µs")
    assert [c.text for c in rest] == [
        "87.0 %",
        "31.0 %",
        "600 µs",
        "winograd F(2×2) 14×2 900 µs · direct 14×2 about 1.90 ms",
    ]


def test_page_and_terminal_say_why() -> None:
    stream = io.StringIO()
    render_text(RECORD, Console(file=stream, width=160))
    for text in (stream.getvalue(), render_html(RECORD)):
        assert "Why this algorithm" in text and "direct 14×2" in text
    assert "Why this algorithm" not in render_html({"kind": "optimize"})


def test_broken_records_are_no_reason_to_fail() -> None:
    for algorithm in ({"name": 3}, {"compared": "x"}, [], "x", {"name": "a", "compared": [1, {}]}):
        record = {"profiles": {"after": {"kernels": [{"nodes": 5, "algorithm": algorithm}], "operators": [3]}}}
        assert len(algorithm_table(record).rows) <= 1
