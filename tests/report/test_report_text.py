"""The terminal's report: what it says, that it fits, and that a record cannot reach the terminal itself."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import report_records
from hypothesis import HealthCheck, given, settings
from rich.cells import cell_len
from rich.console import Console
from test_report_html import odd_records

from rooftune.report import render_text


def printed(record: dict[str, Any], width: int = 80, **options: Any) -> str:
    stream = io.StringIO()
    render_text(record, Console(file=stream, width=width, **options))
    return stream.getvalue()


def test_an_optimisation_says_all_it_has() -> None:
    record = report_records.optimised()
    text = printed(record, 140)
    for part in (
        "94.9 ms → 67.7 ms",
        "1.40×",
        "3.1e-6",
        "Roofline",
        "ridge 7.56 FLOP/B",
        "Where the time goes",
        "extra traffic",
        "The 10 slowest of 57 operators, measured",
        "Steps with predicted and measured gain",
        "openvino, 1 stream (best)",
        "onnxruntime, default",
        "What was refused",
        "no formula for domain vendor",
        "took turns",
    ):
        assert part in text, part


def test_an_analysis_predicts_and_measures_nothing() -> None:
    text = printed(report_records.analysed())
    assert "Totals" in text
    assert "Bytes, ideal view" in text
    assert "predicted" in text
    assert "measured" not in text
    assert "Where the time goes" not in text


def test_a_profile_has_one_ledger() -> None:
    text = printed(report_records.profiled())
    assert "97.8 % attributed" in text
    assert re.search(r"^measured 94\.9 ms #+", text, re.MULTILINE)
    assert "before" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 140, 220])
@pytest.mark.parametrize("name", ["optimised", "profiled", "analysed", "rewritten", "hostile", "hostile_rewritten"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = printed(getattr(report_records, name)(), width).splitlines()
    assert max(map(cell_len, lines)) <= min(width, 140)


def test_the_given_width_wins() -> None:
    stream = io.StringIO()
    render_text(report_records.optimised(), Console(file=stream, width=140), width=70)
    assert max(map(cell_len, stream.getvalue().splitlines())) == 70


def test_bars_are_as_long_as_their_times() -> None:
    record = report_records.optimised()
    text = printed(record, 140)
    before, after = (
        len(re.search(rf"^{side} +[\d.]+ ms ([#a-z.]+)", text, re.MULTILINE)[1]) for side in ("before", "after")
    )
    seconds = [record["profiles"][side]["model_seconds"] for side in ("before", "after")]
    assert after / before == pytest.approx(seconds[1] / seconds[0], abs=0.02)


def test_no_codes_reach_a_file() -> None:
    assert "\x1b" not in printed(report_records.optimised())


def test_colour_on_a_terminal_and_none_where_it_is_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(
        "\x1b\\[[0-9;]*3[1-6]m", printed(report_records.optimised(), force_terminal=True, color_system="standard")
    )
    monkeypatch.setenv("NO_COLOR", "1")
    quiet = printed(report_records.optimised(), force_terminal=True, color_system="standard")
    assert not re.search("\x1b\\[(?:[0-9;]*;)?[349][0-7]m", quiet)
    assert "█" not in quiet


@pytest.mark.parametrize(
    "options", [{}, {"force_terminal": True, "color_system": "truecolor"}], ids=["file", "terminal"]
)
def test_names_reach_the_terminal_as_text(options: dict[str, Any]) -> None:
    record = report_records.hostile()
    record["refused"].append({"what": "\x1b]0;title\x07\x9b2J", "reason": "[link=http://x]click[/link] \u202e"})
    text = printed(record, 140, **options)
    codes = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", codes)
    assert "[link=http://x]click[/link]" in codes
    assert "[bold]rich[/bold]" in codes
    text.encode()


def test_nothing_is_a_report_too() -> None:
    assert "Rooftune analyze" in printed({})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(odd_records())
def test_odd_records_still_print(record: dict[str, Any]) -> None:
    for width in (60, 140):
        printed(record, width).encode()
