"""Which parts of a model run natively and which elsewhere: stages in running order, with as few cuts as possible."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Cut", "Partition", "Prices", "Stage", "Task", "partition", "schedule"]


@dataclass(frozen=True)
class Task:
    """A node as partitioning sees it.

    reads, makes  names of values; constants are left out, what the graphs inside the node read is among them
    native        there is a kernel for it
    """

    name: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    native: bool


@dataclass(frozen=True)
class Stage:
    """Nodes that run together, natively or not.

    inputs   values that come from outside: inputs of the model, results of other stages
    outputs  values that another stage reads, or the model's caller
    """

    native: bool
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """The way from one stage to the next: bytes that the native one of the two packs or unpacks, and what it costs."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class Prices:
    """What decides whether a native stage pays.

    bytes_of          size of a value
    seconds           predicted time of some nodes, run natively (True) or elsewhere (False); None: nobody can say
    bytes_per_second  at which values are copied, bytes read and bytes written added up
    entry_seconds     to hand over from one stage to the next, whatever crosses
    """

    bytes_of: Callable[[str], int]
    seconds: Callable[[Iterable[str], bool], float | None]
    bytes_per_second: float
    entry_seconds: float

    def copying(self, values: Iterable[str]) -> float:
        """Seconds to read these values and write them in another layout."""
        return 2 * self._size(values) / self.bytes_per_second

    def saves(self, nodes: Collection[str]) -> float:
        """Seconds that some nodes take less when they run natively; 0 where nobody can say."""
        native, elsewhere = self.seconds(nodes, True), self.seconds(nodes, False)
        return 0.0 if native is None or elsewhere is None else elsewhere - native

    def cut(self, values: Iterable[str]) -> Cut:
        """What it costs that these values cross."""
        crossing = tuple(values)
        return Cut(self._size(crossing), self.entry_seconds + self.copying(crossing))

    def _size(self, values: Iterable[str]) -> int:
        return sum(self.bytes_of(value) for value in values)


@dataclass(frozen=True)
class Partition:
    """Stages in running order, native and others in turn, and the cuts between them.

    given_back    nodes with a kernel that run elsewhere because going there costs more than it saves, and by how much
    native_nodes  share of the nodes that run natively
    native_time   share of the predicted time that is spent there; None where somebody's time cannot be predicted
    """

    stages: tuple[Stage, ...]
    cuts: tuple[Cut, ...] = ()
    given_back: Mapping[str, float] = field(default_factory=dict)
    native_nodes: float = 0.0
    native_time: float | None = None


def schedule(
    tasks: Sequence[Task], results: Collection[str], bytes_of: Callable[[str], int] = lambda value: 1
) -> tuple[Stage, ...]:
    """Stages for tasks that stand in an order in which they can run; no fewer are possible.

    Taking whatever is ready on the present side before changing sides is never worse than changing earlier, so that
    only the side to start on has to be tried. Of equally many stages those count less that have fewer bytes to pack.

    results  values that the caller of the model wants
    """
    found: list[tuple[Stage, ...]] = []
    for first in (True, False):
        places = _placed(tasks, first)
        if places is not None:
            _run_later(tasks, places, first, bytes_of)
            found.append(_stages(tasks, places, first, results))
    return min(found, key=lambda stages: (len(stages), _crossing_bytes(stages, bytes_of)), default=())


def partition(tasks: Sequence[Task], results: Collection[str], prices: Prices, *, give_back: bool = True) -> Partition:
    """The fewest stages there can be, without native ones that cost more to reach than they save.

    Parts of a native stage that share nothing are judged each by itself, then the stage as a whole. What is given
    back joins the stages around it, so that this never makes more cuts. A model without any cut stays as it is.
    Without `give_back` everything that has a kernel runs natively, whatever it costs.
    """
    given_back: dict[str, float] = {}
    while True:
        stages = schedule(
            [replace(t, native=False) if t.name in given_back else t for t in tasks], results, prices.bytes_of
        )
        losing = _losing(stages, tasks, prices) if give_back else {}
        if not losing:
            break
        given_back |= losing
    native = [node for stage in stages if stage.native for node in stage.nodes]
    others = [node for stage in stages if not stage.native for node in stage.nodes]
    return Partition(
        stages,
        _cuts(stages, prices),
        given_back,
        len(native) / len(tasks) if tasks else 0.0,
        _time_share(prices.seconds(native, True), prices.seconds(others, False)),
    )


def _placed(tasks: Sequence[Task], first: bool) -> list[int] | None:
    """The stage of each task when `first` says whether stage 0 is native; None where that one would be empty."""
    maker = {value: number for number, task in enumerate(tasks) for value in task.makes}
    readers: list[list[int]] = [[] for _ in tasks]
    missing = [0] * len(tasks)
    for number, task in enumerate(tasks):
        for before in {maker[value] for value in task.reads if value in maker}:
            readers[before].append(number)
            missing[number] += 1
    ready: dict[bool, deque[int]] = {True: deque(), False: deque()}
    for number, count in enumerate(missing):
        if count == 0:
            ready[tasks[number].native].append(number)
    if not ready[first]:
        return None
    places = [0] * len(tasks)
    side, stage = first, 0
    while ready[True] or ready[False]:
        if not ready[side]:
            side, stage = not side, stage + 1
        number = ready[side].popleft()
        places[number] = stage
        for reader in readers[number]:
            missing[reader] -= 1
            if missing[reader] == 0:
                ready[tasks[reader].native].append(reader)
    return places


def _run_later(tasks: Sequence[Task], places: list[int], first: bool, bytes_of: Callable[[str], int]) -> None:
    """Move native tasks into the stage that reads their results where that stage then has fewer bytes to take in."""
    readers: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        for value in task.reads:
            readers.setdefault(value, []).append(number)
    for number in range(len(tasks) - 1, -1, -1):
        task = tasks[number]
        reading = [reader for value in task.makes for reader in readers.get(value, ())]
        if not task.native or not reading:
            continue
        latest = min(places[reader] for reader in reading)
        latest -= (latest % 2 == 0) != first
        if latest > places[number] and _size(task.makes, bytes_of) > _size(task.reads, bytes_of):
            places[number] = latest


def _size(values: Iterable[str], bytes_of: Callable[[str], int]) -> int:
    return sum(bytes_of(value) for value in values)


def _stages(tasks: Sequence[Task], places: Sequence[int], first: bool, results: Collection[str]) -> tuple[Stage, ...]:
    wanted = set(results)
    made_in = {value: places[number] for number, task in enumerate(tasks) for value in task.makes}
    read_elsewhere = {
        value for number, task in enumerate(tasks) for value in task.reads if made_in.get(value) != places[number]
    }
    members: list[list[Task]] = [[] for _ in range(max(places, default=-1) + 1)]
    for number, task in enumerate(tasks):
        members[places[number]].append(task)
    return tuple(
        Stage(
            (place % 2 == 0) == first,
            tuple(task.name for task in inside),
            tuple(dict.fromkeys(v for task in inside for v in task.reads if made_in.get(v) != place)),
            tuple(v for task in inside for v in task.makes if v in read_elsewhere or v in wanted),
        )
        for place, inside in enumerate(members)
    )


def _crossing_bytes(stages: Sequence[Stage], bytes_of: Callable[[str], int]) -> int:
    return sum(_size((*s.inputs, *s.outputs), bytes_of) for s in stages if s.native)


def _cuts(stages: Sequence[Stage], prices: Prices) -> tuple[Cut, ...]:
    return tuple(
        prices.cut(after.inputs if after.native else before.outputs) for before, after in itertools.pairwise(stages)
    )


def _losing(stages: Sequence[Stage], tasks: Sequence[Task], prices: Prices) -> dict[str, float]:
    """Nodes of native stages that should not be there, and the seconds that the part they belong to loses."""
    if len(stages) < 2:
        return {}
    found: dict[str, float] = {}
    by_name = {task.name: task for task in tasks}
    for place, stage in enumerate(stages):
        if not stage.native:
            continue
        inside = [by_name[node] for node in stage.nodes]
        going = _losing_parts(inside, stage, prices)
        if not going:
            cuts = min(place, 1) + min(len(stages) - 1 - place, 1)
            loss = cuts * prices.entry_seconds + prices.copying((*stage.inputs, *stage.outputs))
            loss -= prices.saves(stage.nodes)
            going = dict.fromkeys(stage.nodes, loss) if loss > 0 else {}
        found |= going
    return found


def _losing_parts(inside: Sequence[Task], stage: Stage, prices: Prices) -> dict[str, float]:
    """Of several parts of a stage, those that save less than the copies cost that are made for them alone."""
    parts = _parts(inside)
    if len(parts) < 2:
        return {}
    readers = Counter(value for part in parts for value in {v for task in part for v in task.reads})
    crossing = {*stage.inputs, *stage.outputs}
    found: dict[str, float] = {}
    for part in parts:
        handled = dict.fromkeys(v for task in part for v in (*task.reads, *task.makes))
        own = [v for v in handled if v in crossing and (v in stage.outputs or readers[v] == 1)]
        nodes = [task.name for task in part]
        loss = prices.copying(own) - prices.saves(nodes)
        if loss > 0:
            found |= dict.fromkeys(nodes, loss)
    return found


def _parts(tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks of a stage, those together that hand each other values."""
    above = list(range(len(tasks)))

    def root(number: int) -> int:
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    maker = {value: number for number, task in enumerate(tasks) for value in task.makes}
    for number, task in enumerate(tasks):
        for value in task.reads:
            if value in maker:
                above[root(number)] = root(maker[value])
    parts: dict[int, list[Task]] = {}
    for number, task in enumerate(tasks):
        parts.setdefault(root(number), []).append(task)
    return list(parts.values())


def _time_share(native: float | None, elsewhere: float | None) -> float | None:
    if native is None or elsewhere is None or native + elsewhere <= 0:
        return None
    return native / (native + elsewhere)
