"""Parting graphs: every node once, in an order that works, with the fewest cuts, islands only where they pay."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.compiler.partition import Partition, Prices, Stage, Task, partition, schedule

Graph = tuple[list[Task], list[str]]


@st.composite
def graphs(draw: st.DrawFn, most: int = 9) -> Graph:
    """Tasks in running order that read inputs of the graph and what earlier ones make, and the values wanted."""
    tasks: list[Task] = []
    values = ["in0", "in1"]
    for number in range(draw(st.integers(0, most))):
        reads = draw(st.lists(st.sampled_from(values[-6:]), max_size=3, unique=True))
        makes = [f"v{number}.{k}" for k in range(draw(st.integers(1, 2)))]
        tasks.append(Task(f"n{number}", tuple(reads), tuple(makes), draw(st.booleans())))
        values += makes
    made = [value for task in tasks for value in task.makes]
    results = draw(st.lists(st.sampled_from(made), unique=True)) if made else []
    return tasks, results


def fewest_stages(tasks: Sequence[Task]) -> int:
    """By trying all orders: the smallest number of runs of one side."""
    maker = {value: number for number, task in enumerate(tasks) for value in task.makes}
    before = [frozenset(maker[v] for v in task.reads if v in maker) for task in tasks]

    @cache
    def left(done: frozenset[int], side: bool | None) -> int:
        if len(done) == len(tasks):
            return 0
        ready = [n for n in range(len(tasks)) if n not in done and before[n] <= done]
        return min(left(done | {n}, tasks[n].native) + (tasks[n].native is not side) for n in ready)

    return left(frozenset(), None)


def prices(
    sizes: dict[str, int] | int, saved: dict[str, float] | float, *, rate: float = 2.0, entry: float = 0.0
) -> Prices:
    """Nodes take a second elsewhere, and `saved` less natively; copying one byte takes a second at rate 2."""

    def seconds(nodes: Iterable[str], native: bool) -> float:
        return sum(1.0 - (saved if isinstance(saved, float) else saved[n]) * native for n in nodes)

    return Prices(lambda v: sizes if isinstance(sizes, int) else sizes.get(v, 0), seconds, rate, entry)


def check(
    tasks: Sequence[Task], stages: Sequence[Stage], results: Collection[str], given_back: Collection[str] = ()
) -> None:
    """Everything that makes stages runnable, whatever they cost."""
    by_name = {task.name: task for task in tasks}
    assert sorted(n for stage in stages for n in stage.nodes) == sorted(by_name)
    assert all(a.native is not b.native for a, b in itertools.pairwise(stages))
    made_in = {v: place for place, stage in enumerate(stages) for n in stage.nodes for v in by_name[n].makes}
    known = {"in0", "in1"}
    for place, stage in enumerate(stages):
        assert set(stage.inputs) <= known and len(set(stage.inputs)) == len(stage.inputs)
        inside = set(stage.inputs)
        for name in stage.nodes:
            task = by_name[name]
            assert stage.native is (task.native and name not in given_back)
            assert set(task.reads) <= inside, "a node runs before what it reads is there"
            inside |= set(task.makes)
        assert {v for n in stage.nodes for v in by_name[n].reads if made_in.get(v) != place} == set(stage.inputs)
        elsewhere = {v for other in stages if other is not stage for v in other.inputs}
        wanted = {v for v, where in made_in.items() if where == place and (v in elsewhere or v in results)}
        assert set(stage.outputs) == wanted
        known |= set(stage.outputs)
    assert set(results) <= known


@given(graphs())
@settings(max_examples=300, deadline=None)
def test_no_order_needs_fewer_stages(graph: Graph) -> None:
    tasks, results = graph
    stages = schedule(tasks, results)
    check(tasks, stages, results)
    assert len(stages) == fewest_stages(tasks)


@given(graphs(most=40), st.data())
@settings(max_examples=200, deadline=None)
def test_islands_given_back_never_make_more_cuts(graph: Graph, data: st.DataObject) -> None:
    tasks, results = graph
    sizes = {v: data.draw(st.integers(0, 9), label=v) for v in {"in0", "in1", *(v for t in tasks for v in t.makes)}}
    saved = {t.name: data.draw(st.floats(-1, 1), label=t.name) for t in tasks}
    price = prices(sizes, saved, rate=data.draw(st.sampled_from([1.0, 8.0, 64.0])), entry=0.1)
    found = partition(tasks, results, price)
    check(tasks, found.stages, results, found.given_back)
    assert len(found.stages) <= len(schedule(tasks, results))
    assert len(found.cuts) == max(0, len(found.stages) - 1)
    assert set(found.given_back) <= {t.name for t in tasks if t.native}
    assert all(loss > 0 for loss in found.given_back.values())
    assert worth(found, price) >= worth_of(schedule(tasks, results, price.bytes_of), price) - 1e-9


def worth(found: Partition, price: Prices) -> float:
    return worth_of(found.stages, price)


def worth_of(stages: Sequence[Stage], price: Prices) -> float:
    """What native stages save, less what it costs to go there and back."""
    saved = sum(price.saves(s.nodes) - price.copying((*s.inputs, *s.outputs)) for s in stages if s.native)
    return saved - price.entry_seconds * max(0, len(stages) - 1)


@given(graphs(most=30))
@settings(max_examples=100, deadline=None)
def test_parting_is_the_same_every_time(graph: Graph) -> None:
    tasks, results = graph
    assert partition(tasks, results, prices(1, 0.1)) == partition(tasks, results, prices(1, 0.1))


def chain(*sides: bool, reads: str = "in0") -> list[Task]:
    tasks = []
    for number, native in enumerate(sides):
        tasks.append(Task(f"n{number}", (reads,), (f"v{number}",), native))
        reads = f"v{number}"
    return tasks


def test_an_island_that_saves_less_than_its_cuts_cost_is_given_back() -> None:
    tasks = chain(False, True, False)
    kept = partition(tasks, ["v2"], prices({"v0": 1, "v1": 1}, 3.0, rate=4.0, entry=0.9))
    assert [s.native for s in kept.stages] == [False, True, False] and not kept.given_back
    assert [(cut.bytes, cut.seconds) for cut in kept.cuts] == [(1, pytest.approx(1.4)), (1, pytest.approx(1.4))]
    gone = partition(tasks, ["v2"], prices({"v0": 1, "v1": 1}, 2.5, rate=4.0, entry=0.9))
    assert [s.native for s in gone.stages] == [False] and gone.cuts == ()
    assert gone.given_back == {"n1": pytest.approx(0.3)}


def test_a_model_without_cuts_is_not_given_back() -> None:
    found = partition(chain(True, True), ["v1"], prices(100, -5.0))
    assert [s.native for s in found.stages] == [True] and found.native_nodes == 1.0


def test_parts_of_a_stage_are_judged_by_themselves() -> None:
    tasks = [
        Task("f", ("in0",), ("a", "b"), False),
        Task("heavy", ("a",), ("c",), True),
        Task("light", ("b",), ("d",), True),
        Task("g", ("c", "d"), ("e",), False),
    ]
    sizes = {"a": 1, "b": 1, "c": 1, "d": 1}
    found = partition(tasks, ["e"], prices(sizes, {"f": 0.0, "heavy": 9.0, "light": 1.0, "g": 0.0}, entry=0.1))
    assert set(found.given_back) == {"light"}
    assert [set(s.nodes) for s in found.stages if s.native] == [{"heavy"}]


def test_what_is_read_late_runs_late_where_that_moves_fewer_bytes() -> None:
    tasks = [
        Task("widen", ("in0",), ("wide",), True),
        Task("first", ("in1",), ("a",), True),
        Task("there", ("a",), ("b",), False),
        Task("join", ("wide", "b"), ("c",), True),
    ]
    sizes = {"in0": 1, "in1": 1, "a": 1, "b": 1, "wide": 9, "c": 1}
    late = schedule(tasks, ["c"], sizes.__getitem__)
    assert [s.nodes for s in late] == [("first",), ("there",), ("widen", "join")]
    early = schedule(tasks, ["c"], {**sizes, "in0": 9, "wide": 1}.__getitem__)
    assert early[0].nodes == ("widen", "first")


def test_shares_are_those_of_nodes_and_of_predicted_time() -> None:
    found = partition(chain(True, True, True, False), ["v3"], prices(0, 0.5))
    assert found.native_nodes == 0.75
    assert found.native_time == pytest.approx(1.5 / 2.5)
    unknown = Prices(lambda v: 0, lambda nodes, native: None, 1.0, 0.0)
    assert partition(chain(True, False), ["v1"], unknown).native_time is None


def test_long_chains_are_parted_at_once() -> None:
    tasks = chain(*(number % 7 != 0 for number in range(3000)))
    found = partition(tasks, ["v2999"], prices(1, 0.3, entry=0.1))
    check(tasks, found.stages, ["v2999"], found.given_back)
