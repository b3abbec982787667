"""What a rewriting's report says: tables, the changes as text and picture, and how a picture comes about."""

from __future__ import annotations

import copy
import io
import re
from typing import Any

import pytest
import report_records
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from test_report_html import Page

from rooftune.graph.text import model_of_text, node_line
from rooftune.report import render_html, render_text
from rooftune.report.graph_picture import MOST_NODES, Picture, draw
from rooftune.report.layered import lay_out
from rooftune.report.node_line import NodeLine, read_line
from rooftune.report.rewriting import FOLDED, OPEN, changes_by_rule, refusal_table

FOLD = "fold_batchnorm_into_conv"


def printed(record: dict[str, Any], width: int = 100) -> str:
    stream = io.StringIO()
    render_text(record, Console(file=stream, width=width))
    return stream.getvalue()


def drawn(*lines: str) -> Picture:
    nodes = [read_line(line) for line in lines]
    assert all(node is not None for node in nodes)
    picture = draw([node for node in nodes if node is not None])
    assert picture is not None
    return picture


def test_the_terminal_says_what_was_done_and_what_was_not() -> None:
    record = report_records.rewritten()
    text = printed(record)
    section = record["rewrite"]
    assert f"{section['nodes_before']} → {section['nodes_after']}" in text
    (applied,) = section["applied"]
    assert applied["count"] == 2
    assert re.search(rf"^{FOLD} +2 +−2 ", text, re.MULTILINE)
    (refused,) = section["refused"]
    assert refused["reason"] in " ".join(text.split())
    assert "passed, tolerance 1.0e-5" in text
    assert "NOT verified" not in text
    assert "Roofline" not in text


def test_an_unproven_result_says_so() -> None:
    record = {**report_records.rewritten(), "verification": None}
    assert "NOT verified" in printed(record)
    assert "NOT verified" in render_html(record).replace("\xa0", " ")


def test_nothing_applied_is_said() -> None:
    record = report_records.rewritten()
    record["rewrite"].update(applied=[], changes=[], refused=[], notes=["stopped early"])
    assert "No rule applied." in printed(record)
    assert "Note: stopped early" in printed(record)
    page = Page(render_html(record))
    assert page.sections[0] == "rewriting"
    assert "changes" not in page.sections
    assert "stopped early" in render_html(record)


def test_an_optimisation_shows_its_rewriting_as_well() -> None:
    record = {**report_records.optimised(), "rewrite": report_records.rewritten()["rewrite"]}
    page = Page(render_html(record))
    assert page.sections[:3] == ["rewriting", "changes", "roofline"]
    assert "candidates" in page.sections
    text = printed(record)
    assert "Rules applied" in text
    assert "Steps with predicted and measured gain" in text
    assert "Rewriting" not in "".join(Page(render_html(report_records.optimised())).sections)


def test_the_page_holds_the_numbers_of_the_record() -> None:
    record = report_records.rewritten()
    page = Page(render_html(record))
    (row,) = page.tables["t-applied"][1:]
    applied = record["rewrite"]["applied"][0]
    assert row[:3] == [FOLD, "2", "−2"]
    assert row[3] == f"−{-applied['flops_delta'] / 1e3:.2f} k"
    assert row[-1] == "reassociates"
    (refused,) = page.tables["t-rules-refused"][1:]
    assert refused == [FOLD, "1", record["rewrite"]["refused"][0]["reason"], record["rewrite"]["refused"][0]["node"]]
    head = re.sub(r"<[^>]+>", " ", render_html(record).split("<nav")[0]).replace("\xa0", " ")
    assert f"{record['rewrite']['nodes_before']} → {record['rewrite']['nodes_after']}" in head


def test_every_change_has_its_lines_and_its_pictures() -> None:
    record = report_records.rewritten()
    text = render_html(record)
    assert text.count("<article") == 2
    assert text.count('<svg class="graph"') == 4
    for change in record["rewrite"]["changes"]:
        for sign, lines in (("-", change["before"]), ("+", change["after"])):
            for line in lines:
                escaped = line.replace("<", "&lt;").replace(">", "&gt;")
                assert f"{sign} {escaped}</span>" in text
    (group,) = changes_by_rule(record)
    first = group.shown[0]
    assert first.before is not None
    assert [box.op for box in first.before.boxes] == ["Conv", "BatchNormalization"]
    assert first.after is not None
    assert [box.op for box in first.after.boxes] == ["Conv"]
    assert first.figures.startswith("−")


def test_thousands_of_changes_are_counted_and_not_shown() -> None:
    record = report_records.hostile_rewritten()
    groups = {group.rule: group for group in changes_by_rule(record)}
    many = groups["many"]
    assert (len(many.shown), len(many.folded), many.left_out) == (OPEN, FOLDED, 3000 - OPEN - FOLDED)
    text = render_html(record)
    assert f"{3000 - OPEN - FOLDED:,} further changes of this rule stand in the record only." in text
    assert text.split("<script", 1)[0].count("<article") == sum(len(g.shown) + len(g.folded) for g in groups.values())
    assert "… and 79 more lines" in text


def test_no_name_of_a_change_becomes_an_element() -> None:
    plain, hostile = (
        Page(render_html(make())) for make in (report_records.rewritten, report_records.hostile_rewritten)
    )
    assert {tag for tag, _ in hostile.elements} - {tag for tag, _ in plain.elements} <= {"details", "summary", "small"}
    assert [tag for tag, _ in hostile.elements].count("script") == [tag for tag, _ in plain.elements].count("script")
    assert not any(name.startswith("on") for _, attributes in hostile.elements for name in attributes)
    assert [box.op for box in changes_by_rule(report_records.hostile_rewritten())[2].shown[0].before.boxes] == ["Relu"]


def test_printed_json_shows_its_refusals_once() -> None:
    record = report_records.rewritten()
    record["refused"] = record["rewrite"]["refused"]
    assert "refused" not in Page(render_html(record)).sections
    assert printed(record) == printed(report_records.rewritten())


def test_refusals_of_one_kind_are_one_row() -> None:
    refused = [
        {"rule": "r", "node": f"bn{i}", "reason": f"the output of /block.{i}/conv has another reader"} for i in range(5)
    ]
    refused += [{"rule": "r", "node": "n", "reason": f"w (c{i}.weight) is computed at run time"} for i in range(3)]
    refused += [{"rule": "r", "node": "n", "reason": f"not faster: {i}.5 µs before, 2{i} µs after"} for i in range(2)]
    refused += [{"rule": "other", "node": "n", "reason": "w (c1.weight) is computed at run time"}]
    rows = [[cell.text for cell in row] for row in refusal_table({"rewrite": {"refused": refused}}).rows]
    assert rows == [
        ["r", "5", "the output of /block.0/conv has another reader", "bn0"],
        ["r", "3", "w (c0.weight) is computed at run time", "n"],
        ["r", "2", "not faster: 0.5 µs before, 20 µs after", "n"],
        ["other", "1", "w (c1.weight) is computed at run time", "n"],
    ]


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("y = Relu(x)", NodeLine("Relu", ("x",), ("y",), ())),
        ("y = Conv<pads=[1,1,1,1]>(/a/x, #4x3, #4)", NodeLine("Conv", ("/a/x",), ("y",), ("#4x3", "#4"))),
        ("a, b = Split<axis=1>(x)", NodeLine("Split", ("x",), ("a", "b"), ())),
        ("y = Resize(x, , #4)", NodeLine("Resize", ("x",), ("y",), ("#4",))),
        ("c = Einsum<equation=ij,jk->ik>(a, b)", NodeLine("Einsum", ("a", "b"), ("c",), ())),
        ("y = com.microsoft.Gelu(x)", NodeLine("com.microsoft.Gelu", ("x",), ("y",), ())),
        ("y = Constant<value=...>()", NodeLine("Constant", (), ("y",), ())),
        ("", None),
        ("y = Relu", None),
        ("y = Relu(x(1))", None),
        ("a b = Relu(x)", None),
        ("y = Relu(a b)", None),
        ("y = <b>(x)", None),
        ("y = Relu(x) = Relu(z)", None),
        ("y = Relu(" + "x" * 100_000 + ")", None),
    ],
)
def test_a_line_is_read_or_left_alone(line: str, node: NodeLine | None) -> None:
    assert read_line(line) == node


def test_lines_the_engine_writes_are_read() -> None:
    model = model_of_text(report_records.NETWORK.replace("/", "_"))
    for node in model.nodes:
        read = read_line(node_line(node))
        assert read is not None
        assert read.op == node.op_type
        assert len(read.inputs) + len(read.constants) == len(node.inputs)
        assert read.outputs == tuple(value.name for value in node.outputs)


@given(st.text(max_size=60))
def test_any_line_may_come(line: str) -> None:
    node = read_line(line)
    if node is not None:
        draw([node])


def test_a_chain_runs_from_left_to_right() -> None:
    picture = drawn("c = Conv(x, #8x3x3x3)", "b = BatchNormalization(c, #8, #8, #8, #8)", "y = Relu(b)")
    xs = [box.x for box in picture.boxes]
    assert xs == sorted(xs)
    assert len({box.y + box.height / 2 for box in picture.boxes}) == 1
    assert [(label.text, label.anchor) for label in picture.labels] == [("x", "end"), ("y", "start")]
    assert [wire.title for wire in picture.wires] == ["x", "c", "b", "y"]
    assert picture.boxes[0].constants == "#8x3x3x3"


def test_branches_stand_apart_and_inside_the_picture() -> None:
    picture = drawn("a = Conv(x, #)", "b = Conv(x, #)", "c = Add(a, b)", "d = Add(c, x)", "e = Add(d, a)")
    boxes = picture.boxes
    for box in boxes:
        assert box.x >= 0 and box.x + box.width <= picture.width
        assert box.y >= 0 and box.y + box.height <= picture.height
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert apart_x or apart_y
    assert len(picture.wires) == 9
    assert [label.text for label in picture.labels] == ["x", "e"]


def test_a_circle_and_a_crowd_have_no_picture() -> None:
    circle = [NodeLine("Relu", ("a",), ("b",), ()), NodeLine("Relu", ("b",), ("a",), ())]
    assert draw(circle) is None
    assert draw([NodeLine("Relu", ("a",), ("a",), ())]) is None
    assert draw([]) is None
    crowd = [NodeLine("Relu", (f"v{i}",), (f"v{i + 1}",), ()) for i in range(MOST_NODES + 1)]
    assert draw(crowd[:-1]) is not None
    assert draw(crowd) is None


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).map(sorted).filter(lambda e: e[0] < e[1]), max_size=24)
)
def test_every_edge_goes_to_the_right(pairs: list[list[int]]) -> None:
    edges = [(a, b) for a, b in pairs]
    layout = lay_out([40.0] * 12, edges, gap=30, pitch=50)
    assert layout is not None
    for (a, b), bends in zip(edges, layout.bends, strict=True):
        assert layout.columns[a] < layout.columns[b]
        assert len(bends) == 2 * (layout.columns[b] - layout.columns[a] - 1)
        xs = [layout.centres[a][0], *(x for x, _ in bends), layout.centres[b][0]]
        assert xs == sorted(xs)
    assert len(set(layout.centres)) == 12, "nothing stands on anything else"
    assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in layout.centres)


def test_the_record_is_not_changed_by_its_report() -> None:
    record = report_records.rewritten()
    before = copy.deepcopy(record)
    render_html(record)
    printed(record)
    assert record == before
