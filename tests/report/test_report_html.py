"""The page as text: its sections, its escaping, the data inside it, and odd records."""

from __future__ import annotations

import json
import math
import re
import stat
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import report_records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.errors import InputError
from rooftune.report import palette, render_html, write_html
from rooftune.report.figures import POINT_LIMIT, roofline

SECTIONS = {
    "optimised": "roofline time operators steps candidates refused unknown counting machine method environment "
    "data".split(),
    "profiled": "roofline time operators unknown counting machine method environment data".split(),
    "analysed": "roofline time operators unknown counting machine environment data".split(),
    "rewritten": "rewriting changes roofline time operators counting machine method environment data".split(),
    "empty": ["data"],
}


class Page(HTMLParser):
    """The elements of a page, the text of its cells, and what stands in its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.scripts: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._script, self._table, self._cell = "", "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag == "section":
            self.sections.append(found["id"] or "")
        if tag == "script":
            self._script = found.get("id") or f"script{len(self.scripts)}"
            self.scripts[self._script] = ""
        if tag == "table":
            self._table = found["id"] or ""
            self.tables[self._table] = []
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in {"td", "th"}:
            self._cell = True
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = ""
        if tag in {"td", "th"}:
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] += data
        elif self._cell:
            self.tables[self._table][-1][-1] += data


@pytest.mark.parametrize("name", SECTIONS)
def test_a_kind_has_its_sections_in_order_and_no_empty_ones(name: str) -> None:
    assert Page(render_html(getattr(report_records, name)())).sections == SECTIONS[name]


def test_the_head_states_the_outcome() -> None:
    record = report_records.optimised()
    head = re.sub(r"<[^>]+>", " ", render_html(record).split("<nav")[0]).replace("\xa0", " ")
    gain = record["speedup"]
    for part in (
        "94.9 ms → 67.7 ms",
        f"{gain['median']:.2f}×",
        f"{gain['low']:.2f}× – {gain['high']:.2f}×",
        "3.1e-6",
        "99.2 %",
        "resnet50",
        record["machine"]["name"],
        "2026-11-20 23:50:00 UTC",
    ):
        assert part in head, part


def test_the_written_verdict_wins() -> None:
    assert ">It runs well.</h1>" in render_html({**report_records.optimised(), "verdict": "It runs well."})


def test_gaining_nothing_is_said() -> None:
    record = report_records.optimised()
    record["speedup"] = {"median": 1.01, "low": 0.99, "high": 1.03}
    assert "nothing was gained over the baseline of 94.9 ms" in render_html(record)


def test_the_tables_hold_the_numbers_of_the_record() -> None:
    record = report_records.optimised()
    tables = Page(render_html(record)).tables
    operators = record["profiles"]["after"]["operators"]
    assert len(tables["t-operators"]) == len(operators) + 1
    slowest = max(operators, key=lambda operator: operator["seconds"])
    first = tables["t-operators"][1]
    assert first[0] == slowest["name"]
    assert first[2] == f"{slowest['seconds'] * 1e3:.2f} ms"
    assert first[5] == f"{100 * slowest['roof_seconds'] / slowest['seconds']:.1f} %"
    assert len(tables["t-operators-before"]) == len(record["profiles"]["before"]["operators"]) + 1
    ledger = {row[0]: row[1:] for row in tables["t-ledger"]}
    after = record["profiles"]["after"]["ledger"]["roof"]
    assert ledger["roof"][3] == f"{100 * after:.1f} %"
    assert [row[0] for row in tables["t-candidates"]][1] == "openvino, 1 streambest"
    assert any("lowers precision" in row[-1] for row in tables["t-refused"])
    step = tables["t-steps"][2]
    assert step[2:5] == ["1.05×", "1.03×", "kept"]


def test_one_run_is_shown_once_where_nothing_was_gained() -> None:
    record = report_records.optimised()
    record["profiles"]["after"] = record["profiles"]["before"]
    page = Page(render_html(record))
    assert "t-operators-before" not in page.tables
    assert page.tables["t-ledger"][0] == ["Cause", "Measured", "Share", "What it means"]
    series = [t["name"] for t in json.loads(page.scripts["chart"])["figure"]["data"] if t["mode"] == "markers"]
    assert series == ["measured"]


def test_the_embedded_record_is_the_record() -> None:
    for make in (report_records.optimised, report_records.hostile, report_records.empty):
        assert json.loads(Page(render_html(make())).scripts["record"]) == make()


def test_numbers_that_are_no_json_become_null() -> None:
    page = Page(render_html({"baseline": {"seconds": math.nan}, "best": {"seconds": math.inf}, "x": (1, -math.inf)}))
    assert json.loads(page.scripts["record"]) == {
        "baseline": {"seconds": None},
        "best": {"seconds": None},
        "x": [1, None],
    }


def test_no_name_becomes_an_element() -> None:
    plain, hostile = (Page(render_html(make())) for make in (report_records.optimised, report_records.hostile))
    tags = [{tag for tag, _ in page.elements} for page in (plain, hostile)]
    assert tags[0] == tags[1]
    assert [tag for tag, _ in hostile.elements].count("script") == 4
    assert not any(name.startswith("on") for _, attributes in hostile.elements for name in attributes)
    refused = hostile.tables["t-refused"][-1]
    assert refused[0] == report_records.HOSTILE
    assert not re.search("[\x00-\x08\x0e-\x1f\u202e\ud800]", "".join(refused))


def test_only_the_scripts_of_the_page_may_run() -> None:
    page = Page(render_html(report_records.hostile()))
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-\S+' 'sha256-\S+';", policy)
    assert not any(
        value.startswith(("http", "//"))
        for _, a in page.elements
        for key in ("src", "href")
        if (value := a.get(key) or "")
    )


def test_a_long_name_is_cut_in_the_middle_and_kept_whole_in_its_title() -> None:
    record = report_records.profiled()
    name = "/start" + "/scope" * 50 + "/end"
    record["profiles"]["before"]["operators"][0].update(name=name, seconds=1.0)
    page = Page(render_html(record))
    shown = page.tables["t-operators"][1][0]
    assert len(shown) < 80
    assert shown.startswith("/start")
    assert shown.endswith("/end")
    assert any(a.get("title") == name for tag, a in page.elements if tag == "th")


@pytest.mark.parametrize("name", ["optimised", "profiled", "analysed"])
@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_the_figure_is_one_plotly_accepts(name: str, colours: dict[str, str]) -> None:
    chart = roofline(getattr(report_records, name)())
    assert chart is not None
    text = re.sub(r'"\$([a-z-]+)"', lambda found: f'"{colours[found[1]]}"', json.dumps(chart.figure))
    assert "$" not in text
    go.Figure(json.loads(text))


def test_the_figure_shows_every_ceiling_and_operator() -> None:
    record = report_records.optimised()
    chart = roofline(record)
    assert chart is not None
    lines = {trace["meta"]["label"].split()[0] for trace in chart.figure["data"] if trace["mode"] != "markers"}
    assert lines == {*report_records.PEAKS, *report_records.BANDWIDTHS}
    for trace in chart.figure["data"]:
        if trace["mode"] == "markers":
            operators = record["profiles"][trace["name"]]["operators"]
            placed = [operator for operator in operators if operator["flops"]]
            assert sorted(trace["x"]) == pytest.approx(sorted(operator["intensity"] for operator in placed))
            assert sorted(trace["y"]) == pytest.approx(sorted(operator["flops_per_second"] for operator in placed))
    assert chart.ridge == pytest.approx(report_records.PEAKS["fp32"] / report_records.BANDWIDTHS["DRAM"])
    assert sum("1 operator has no place" in note for note in chart.notes) == 2


def test_the_ceilings_are_those_of_the_threads_that_ran() -> None:
    record = report_records.profiled()
    record["profiles"]["before"]["threads"] = 1
    chart = roofline(record)
    assert chart is not None
    main = [trace["meta"]["label"] for trace in chart.figure["data"] if trace["meta"].get("main")]
    assert main == ["fp32 88.5 GFLOP/s", "DRAM 12.9 GB/s"]


def test_a_crowd_of_operators_is_thinned_and_said() -> None:
    chart = roofline(report_records.huge())
    assert chart is not None
    assert max(len(trace["x"]) for trace in chart.figure["data"]) == POINT_LIMIT
    assert any(f"the {POINT_LIMIT:,} slowest of" in note for note in chart.notes)


def test_written_whole_with_the_permissions_of_a_document(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    write_html(report_records.hostile(), target)
    assert target.read_text(encoding="utf-8") == render_html(report_records.hostile())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    beside = tmp_path / "plain"
    beside.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


def test_an_impossible_place_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_html({}, tmp_path / "nowhere" / "report.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_html({}, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["N*H", "", [], {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a record, lists by their first two items only."""
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [found for key, item in value.items() for found in paths(item, (*path, key))]
    if isinstance(value, list):
        return here + [found for index, item in enumerate(value[:2]) for found in paths(item, (*path, index))]
    return here


def put(record: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set the value at a path, where the way there still exists."""
    for key in path[:-1]:
        try:
            record = record[key]
        except (TypeError, KeyError, IndexError):
            return
    try:
        record[path[-1]] = value
    except (TypeError, IndexError):
        return


@cache
def paths_of(name: str) -> list[tuple[Any, ...]]:
    return paths(getattr(report_records, name)())


@st.composite
def odd_records(draw: st.DrawFn) -> dict[str, Any]:
    """Good records in which some places hold something else, up to whole sections."""
    name = draw(st.sampled_from(["analysed", "optimised", "profiled", "rewritten"]))
    record = getattr(report_records, name)()
    for path in draw(st.lists(st.sampled_from(paths_of(name)), min_size=1, max_size=6)):
        put(record, path, draw(ODD))
    return record


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(odd_records())
def test_odd_records_still_make_a_page(record: dict[str, Any]) -> None:
    page = render_html(record)
    page.encode()
    body = page.split("<script", 1)[0]
    assert "nan" not in re.findall(r"(?<=width:)[^%\"]*", body)
    assert all(0 <= float(width) <= 100.01 for width in re.findall(r"(?<=style=\"width:)([^%]*)%", body))
    embedded = re.search(r'id="record">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    json.loads(embedded[1])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*sorted(report_records.optimised()), "rewrite"]), ODD))
def test_records_of_anything_at_all_still_make_a_page(record: dict[str, Any]) -> None:
    assert "</html>" in render_html(record)
