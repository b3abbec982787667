"""The report in a real browser: quiet, offline, and usable with mouse, keyboard, phone and printer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import report_records

pytestmark = pytest.mark.browser

CHART = "#roofline-chart"
KINDS = [
    report_records.optimised,
    report_records.profiled,
    report_records.analysed,
    report_records.rewritten,
    report_records.hostile,
    report_records.hostile_rewritten,
]


POOR_CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour[3] === undefined || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const element of document.querySelectorAll("body *:not(svg *):not(script)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""
"""The elements whose text stands out from its ground by less than 4.5 : 1 (WCAG 2 AA)."""


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(float(part) for part in re.findall(r"[\d.]+", colour)[:3])


def cells(page: Any, table: str, key: str) -> list[dict[str, Any]]:
    """Text and sort value of the visible cells of a column, from the top."""
    return page.evaluate(
        """([table, key]) => {
          const heads = [...document.querySelectorAll(`${table} thead th`)];
          const index = heads.findIndex((th) => th.dataset.key === key);
          return [...document.querySelectorAll(`${table} tbody tr:not([hidden])`)].map((row) => {
            const cell = row.cells[index];
            return { text: cell.querySelector("bdi").textContent, value: cell.dataset.v ?? null };
          });
        }""",
        [table, key],
    )


def column(page: Any, table: str, key: str) -> list[str]:
    return [cell["text"] for cell in cells(page, table, key)]


def values(page: Any, table: str, key: str) -> list[float | None]:
    return [None if cell["value"] is None else float(cell["value"]) for cell in cells(page, table, key)]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_says_nothing_and_asks_for_nothing(open_report: Any, make: Any) -> None:
    report = open_report(make())
    report.page.wait_for_selector(f"{CHART} .scatterlayer .point")
    report.page.wait_for_timeout(200)
    assert report.complaints == []
    assert report.requests != []
    assert report.outside() == []


def test_forbids_the_network_to_everything_on_the_page(open_report: Any) -> None:
    report = open_report(report_records.optimised())
    blocked = report.page.evaluate(
        "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'blocked')",
    )
    assert blocked == "blocked"
    assert any("Content Security Policy" in complaint for complaint in report.complaints)


def test_runs_no_script_of_the_record(open_report: Any) -> None:
    report = open_report(report_records.hostile())
    dialogs: list[str] = []
    report.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    report.page.wait_for_timeout(300)
    assert dialogs == []
    assert report.page.locator("img").count() == 0
    assert report.page.locator("h1 script, td script, h1 b").count() == 0
    assert report_records.HOSTILE in report.page.locator("h1").inner_text().replace("\xa0", " ")


def test_a_point_under_the_mouse_names_its_operator(open_report: Any) -> None:
    record = report_records.optimised()
    page = open_report(record).page
    points = page.locator(f"{CHART} .scatterlayer .trace .points path.point")
    points.first.wait_for()
    names = [operator["name"] for run in record["profiles"].values() for operator in run["operators"]]
    page.locator(CHART).scroll_into_view_if_needed()
    # the smallest marks are drawn last, so the last point lies on top of the others
    box = points.last.bounding_box()
    page.mouse.move(box["x"] - 40, box["y"] - 40)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    label = page.locator(f"{CHART} .hoverlayer .hovertext")
    label.first.wait_for()
    text = label.first.text_content()
    assert any(name in text for name in names)
    for part in ("intensity", "FLOP/B", "attained", "lower bound", "of roof", "cause"):
        assert part in text


def test_a_name_with_markup_is_hovered_as_text(open_report: Any) -> None:
    record = report_records.profiled()
    only = record["profiles"]["before"]["operators"][0]
    only["name"] = "<b>x</b><a href='javascript:alert(1)'>y</a> &lt;"
    record["profiles"]["before"]["operators"] = [only]
    page = open_report(record).page
    point = page.locator(f"{CHART} path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    label = page.locator(f"{CHART} .hoverlayer .hovertext").first
    label.wait_for()
    assert only["name"] in "".join(label.locator("text.nums").all_text_contents())
    assert label.locator("a").count() == 0


def test_a_click_on_a_header_sorts_both_ways(open_report: Any) -> None:
    page = open_report(report_records.optimised()).page
    head = page.locator('#t-operators th[data-key="share_of_roof"]')
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    shares = [value for value in values(page, "#t-operators", "share_of_roof") if value is not None]
    assert len(shares) > 50
    assert shares == sorted(shares, reverse=True)
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [v for v in values(page, "#t-operators", "share_of_roof") if v is not None] == sorted(shares)


def test_rows_without_a_value_stay_at_the_end(open_report: Any) -> None:
    page = open_report(report_records.optimised()).page
    button = page.locator('#t-candidates th[data-key="seconds"] button')
    for _ in range(2):
        button.click()
        assert values(page, "#t-candidates", "seconds")[-2:] == [None, None]


def test_names_sort_as_text(open_report: Any) -> None:
    page = open_report(report_records.optimised()).page
    page.locator('#t-candidates th[data-key="name"] button').click()
    names = column(page, "#t-candidates", "name")
    assert names[0].startswith("onnxruntime, 1 thread")
    assert names[-1].startswith("openvino, bf16")


def test_the_filter_finds_by_word_and_by_choice(open_report: Any) -> None:
    page = open_report(report_records.optimised()).page
    box = page.locator("#operators .table").first
    box.get_by_role("searchbox").fill("LAYER3.4 conv2")
    assert column(page, "#t-operators", "operator") == ["/layer3/layer3.4/conv2/Conv/fused"]
    box.get_by_role("searchbox").fill("")
    box.get_by_label("Type").select_option("Gemm")
    assert column(page, "#t-operators", "operator") == ["/fc/Gemm/fused"]
    assert box.get_by_role("status").inner_text() == "1 of 57 rows"
    box.get_by_role("searchbox").fill("nosuchoperator")
    assert box.get_by_role("status").inner_text() == "nothing found"


def test_a_series_can_be_switched_off_and_stays_off(open_report: Any) -> None:
    page = open_report(report_records.optimised()).page
    points = page.locator(f"{CHART} path.point")
    points.first.wait_for()
    every = points.count()
    page.get_by_role("button", name="before").click()
    assert page.get_by_role("button", name="before").get_attribute("aria-pressed") == "false"
    assert 0 < points.count() < every
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    assert 0 < points.count() < every


@pytest.mark.parametrize("make", [*KINDS, report_records.empty], ids=lambda make: make.__name__)
def test_a_phone_never_scrolls_sideways(open_report: Any, make: Any) -> None:
    page = open_report(make(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("visualViewport.width") <= 390


def test_dark_mode_changes_page_and_chart(open_report: Any) -> None:
    report = open_report(report_records.optimised(), color_scheme="light")
    page = report.page
    page.locator(f"{CHART} path.point").first.wait_for()

    def colours() -> tuple[str, str, str]:
        return tuple(
            page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                          document.querySelector("#roofline-chart").layout.paper_bgcolor,
                          getComputedStyle(document.querySelector("#roofline-chart path.point")).stroke]"""
            )
        )

    light = colours()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    dark = colours()
    assert all(before != after for before, after in zip(light, dark, strict=True))
    assert sum(rgb(dark[0])) < 150 < 600 < sum(rgb(light[0]))
    assert report.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [report_records.optimised, report_records.rewritten], ids=lambda make: make.__name__)
def test_text_has_enough_contrast(open_report: Any, scheme: str, make: Any) -> None:
    page = open_report(make(), color_scheme=scheme).page
    assert page.evaluate(POOR_CONTRAST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_prints_on_light_paper(open_report: Any, scheme: str) -> None:
    report = open_report(report_records.optimised(), color_scheme=scheme)
    page = report.page
    page.locator(f"{CHART} path.point").first.wait_for()
    page.evaluate(
        """() => addEventListener("beforeprint", () => {
          window.printed = document.querySelector("#roofline-chart").layout.paper_bgcolor;
        })"""
    )
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1
    assert page.evaluate("window.printed") == "#ffffff"
    page.emulate_media(media="print")
    assert rgb(page.evaluate("getComputedStyle(document.body).backgroundColor")) == (255, 255, 255)
    assert page.locator("nav").is_hidden()
    assert report.complaints == []


def test_five_thousand_operators_stay_usable(open_report: Any) -> None:
    report = open_report(report_records.huge())
    page = report.page
    shown = page.locator("#t-operators tbody tr:not([hidden])")
    assert shown.count() == 200
    page.locator('#t-operators th[data-key="operator"] button').click()
    assert column(page, "#t-operators", "operator")[:2] == ["/block0/op0", "/block0/op1"]
    page.locator("#operators").get_by_role("searchbox").fill("op4999")
    assert column(page, "#t-operators", "operator") == ["/block499/op4999"]
    page.locator("#operators").get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Show all 5,000 rows").click()
    assert shown.count() == 5000
    assert page.get_by_text("slowest of").first.is_visible()
    assert report.complaints == []


def test_the_record_can_be_saved(open_report: Any, tmp_path: Any) -> None:
    record = report_records.hostile()
    page = open_report(record, accept_downloads=True).page
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download it as JSON").click()
    saved.value.save_as(tmp_path / "saved.json")
    assert saved.value.suggested_filename == "record.json"
    assert json.loads((tmp_path / "saved.json").read_text(encoding="utf-8")) == record


def test_everything_can_be_read_without_scripts(open_report: Any) -> None:
    record = report_records.huge(300)
    page = open_report(record, java_script_enabled=False).page
    assert page.locator("#t-operators tbody tr").last.is_visible()
    assert page.locator("#t-operators tbody tr").count() == 300
    assert page.get_by_text("The chart needs scripts").is_visible()
    assert not page.locator(".controls").first.is_visible()


def test_an_empty_record_is_a_page_too(open_report: Any) -> None:
    report = open_report(report_records.empty())
    assert report.page.locator("h1").inner_text().strip() != ""
    assert report.page.locator("main section").count() == 1
    assert report.complaints == []


def test_the_changes_of_a_rewriting_are_drawn(open_report: Any) -> None:
    record = report_records.rewritten()
    report = open_report(record)
    page = report.page
    assert page.locator("#changes article").count() == len(record["rewrite"]["changes"]) == 2
    first = page.locator("#changes article").first
    assert first.locator("svg").count() == 2
    before = first.get_by_role("img", name="before: Conv, BatchNormalization")
    assert before.is_visible()
    assert before.locator("text.op").all_text_contents() == ["Conv", "BatchNormalization"]
    assert before.locator("path").count() == 3
    inside = """(svg) => [...svg.querySelectorAll("g")].every((g) => {
      const [box, ...texts] = [g.querySelector("rect"), ...g.querySelectorAll("text")].map((e) => e.getBBox());
      const [right, bottom] = [box.x + box.width, box.y + box.height];
      return texts.every((t) => t.x >= box.x && t.x + t.width <= right && t.y + t.height <= bottom);
    })"""
    assert before.evaluate(inside), "the text of every box fits into it"
    ends = """(svg) => [...svg.querySelectorAll("text.value")].every((text) => {
      const box = text.getBBox();
      return box.x >= 0 && box.x + box.width <= svg.viewBox.baseVal.width;
    })"""
    assert before.evaluate(ends), "names of values are not cut"
    diff = first.locator(".diff").inner_text().strip().splitlines()
    assert [line[0] for line in diff] == ["-", "-", "+"]
    assert report.complaints == []
    assert report.outside() == []


def test_a_picture_changes_with_the_colours(open_report: Any) -> None:
    page = open_report(report_records.rewritten(), color_scheme="light").page
    colours = """() => {
      const of = (selector, key) => getComputedStyle(document.querySelector(selector))[key];
      return [of("#changes rect", "fill"), of("#changes text.op", "fill"), of("#changes .change", "backgroundColor")];
    }"""
    light = page.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(colours)
    for (ground, ink, _), bright in ((light, True), (dark, False)):
        assert (sum(rgb(ground)) > sum(rgb(ink)) + 300) is bright
        assert (sum(rgb(ink)) > sum(rgb(ground)) + 300) is not bright
    assert light[2] != dark[2]


def test_folded_changes_open_without_scripts(open_report: Any) -> None:
    page = open_report(report_records.hostile_rewritten(), java_script_enabled=False).page
    folded = page.locator("#changes details").last
    assert not folded.locator("article").first.is_visible()
    folded.locator("summary").click()
    assert folded.locator("article").first.is_visible()
    assert folded.locator("article").count() == 27
    assert folded.get_by_text("2,970 further changes of this rule stand in the record only.").is_visible()
