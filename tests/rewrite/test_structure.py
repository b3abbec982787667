"""Random chains of views, slices, pads, splits and Concats: the same answers, never more nodes, always an end."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import evaluate, random_feed, run_model, valid

STRUCTURE = (
    "remove_noop_reshape remove_noop_transpose remove_noop_slice remove_noop_pad remove_noop_expand "
    "remove_noop_concat remove_noop_split remove_noop_tile remove_noop_reduction remove_split_concat_pair "
    "simplify_reshape_target merge_squeeze_unsqueeze merge_reshapes merge_transposes merge_views_around_transpose "
    "turn_transpose_into_reshape merge_concats merge_pads push_transpose_down"
).split()

Shape = tuple[int, ...]


def structural() -> list[object]:
    return [all_steps()[name] for name in STRUCTURE]


def same_answers(before: Model, after: Model, tolerance: float = 1e-6) -> None:
    with TemporaryDirectory() as folder:
        for name, (expected, answer) in run_model(before, after, random_feed(before, 7), Path(folder)).items():
            assert expected.shape == answer.shape, name
            np.testing.assert_allclose(
                answer, expected, rtol=0, atol=tolerance * max(1e-30, np.abs(expected).max(initial=0))
            )


class Writer:
    """A chain that grows from x and z, whose first dimension N is open (and 2 when it runs)."""

    def __init__(self, draw: st.DrawFn, opset: int) -> None:
        self.draw, self.opset = draw, opset
        self.lines: list[str] = []
        self.weights: list[str] = []
        self.values: list[tuple[str, Shape]] = [("x", (2, 3, 4)), ("z", (2, 3, 4))]

    def make(self, expression: str, shape: Shape) -> None:
        self.lines.append(f"v{len(self.values)} = {expression}")
        self.values.append((f"v{len(self.values)}", shape))

    def integers(self, numbers: list[int]) -> str:
        name = f"i{len(self.weights)}"
        self.weights.append(f"int64[{len(numbers)}] {name} = {{{','.join(map(str, numbers))}}}")
        return name

    def axes(self, op: str, name: str, axes: list[int], options: str = "") -> str:
        if self.opset >= 13:
            shown = f"<{options}>" if options else ""
            return f"{op}{shown}({name}, {self.integers(axes)})"
        return f"{op}<axes={axes}{', ' + options if options else ''}>({name})"

    def step(self) -> None:
        kinds = "reshape reshape computed flatten squeeze unsqueeze transpose slice pad concat split expand tile unary"
        kind = self.draw(st.sampled_from(kinds.split()))
        name, shape = self.values[-1] if self.draw(st.integers(0, 3)) else self.draw(st.sampled_from(self.values))
        getattr(self, kind)(name, shape)

    def unary(self, name: str, shape: Shape) -> None:
        self.make(f"{self.draw(st.sampled_from(['Relu', 'Neg']))}({name})", shape)

    def reshape(self, name: str, shape: Shape) -> None:
        size = math.prod(shape)
        options = [
            [size],
            [2, size // 2] if size % 2 == 0 else [1, size],
            list(shape),
            [*shape, 1],
            [1, *shape],
            [2, 2, size // 4] if size % 4 == 0 else [size],
        ]
        target = list(self.draw(st.sampled_from(options)))
        made = tuple(target)
        for place in range(min(len(target), len(shape))):
            if target[place] == shape[place] and self.draw(st.booleans()):
                target[place] = 0
        if self.draw(st.booleans()):
            target[self.draw(st.integers(0, len(target) - 1))] = -1
        self.make(f"Reshape({name}, {self.integers(target)})", made)

    def computed(self, name: str, shape: Shape) -> None:
        """A target worked out from the shape: its first size, and the rest in one."""
        if not shape:
            return
        number = len(self.values)
        rest = math.prod(shape[1:])
        first = self.integers([0])
        tail = self.integers([-1] if self.draw(st.booleans()) else [rest])
        self.lines.append(f"sh{number} = Shape({name}) fi{number} = Gather<axis=0>(sh{number}, {first})")
        self.lines.append(f"ta{number} = Concat<axis=0>(fi{number}, {tail})")
        self.make(f"Reshape({name}, ta{number})", (shape[0], rest))

    def flatten(self, name: str, shape: Shape) -> None:
        axis = self.draw(st.integers(0, len(shape)))
        self.make(f"Flatten<axis={axis}>({name})", (math.prod(shape[:axis]), math.prod(shape[axis:])))

    def squeeze(self, name: str, shape: Shape) -> None:
        ones = [i for i, d in enumerate(shape) if d == 1]
        if ones:
            axis = self.draw(st.sampled_from(ones))
            self.make(self.axes("Squeeze", name, [axis]), shape[:axis] + shape[axis + 1 :])

    def unsqueeze(self, name: str, shape: Shape) -> None:
        if len(shape) < 5:
            axis = self.draw(st.integers(0, len(shape)))
            self.make(self.axes("Unsqueeze", name, [axis]), (*shape[:axis], 1, *shape[axis:]))

    def transpose(self, name: str, shape: Shape) -> None:
        if shape:
            perm = self.draw(st.permutations(range(len(shape))))
            self.make(f"Transpose<perm={list(perm)}>({name})", tuple(shape[p] for p in perm))

    def slice(self, name: str, shape: Shape) -> None:
        if shape:
            axis = self.draw(st.integers(-len(shape), len(shape) - 1))
            last = self.draw(st.sampled_from([9223372036854775807, shape[axis], max(1, shape[axis] - 1)]))
            arguments = [self.integers([0]), self.integers([last]), self.integers([axis])]
            dims = list(shape)
            dims[axis] = min(last, shape[axis])
            self.make(f"Slice({', '.join([name, *arguments])})", tuple(dims))

    def pad(self, name: str, shape: Shape) -> None:
        if shape:
            pads = [self.draw(st.integers(0, 1)) if i % len(shape) else 0 for i in range(2 * len(shape))]
            dims = tuple(d + pads[i] + pads[i + len(shape)] for i, d in enumerate(shape))
            if math.prod(dims) < 2000:
                self.make(f"Pad({name}, {self.integers(pads)})", dims)

    def concat(self, name: str, shape: Shape) -> None:
        if not shape or math.prod(shape) > 500:
            return
        others = [n for n, s in self.values if s == shape]
        parts = [name] + [self.draw(st.sampled_from(others)) for _ in range(self.draw(st.integers(0, 2)))]
        axis = self.draw(st.integers(-len(shape), len(shape) - 1))
        dims = list(shape)
        dims[axis] *= len(parts)
        self.make(f"Concat<axis={axis}>({', '.join(parts)})", tuple(dims))

    def split(self, name: str, shape: Shape) -> None:
        axes = [i for i, d in enumerate(shape) if d % 2 == 0]
        if not axes:
            return
        axis = self.draw(st.sampled_from(axes))
        number = len(self.values)
        half = tuple(d // 2 if i == axis else d for i, d in enumerate(shape))
        sizes = f", {self.integers([half[axis]] * 2)}" if self.opset >= 13 else ""
        self.lines.append(f"v{number}, v{number + 1} = Split<axis={axis}>({name}{sizes})")
        self.values += [(f"v{number}", half), (f"v{number + 1}", half)]
        if self.draw(st.booleans()):
            self.make(f"Concat<axis={axis}>(v{number}, v{number + 1})", shape)

    def expand(self, name: str, shape: Shape) -> None:
        if shape:
            target = [self.draw(st.sampled_from([1, d])) for d in shape]
            self.make(f"Expand({name}, {self.integers(target)})", shape)

    def tile(self, name: str, shape: Shape) -> None:
        if shape:
            self.make(f"Tile({name}, {self.integers([1] * len(shape))})", shape)


@st.composite
def chains(draw: st.DrawFn) -> tuple[str, int]:
    opset = draw(st.sampled_from([11, 13, 20]))
    writer = Writer(draw, opset)
    for _ in range(draw(st.integers(2, 12))):
        writer.step()
    writer.unary(*writer.values[-1])
    outputs = {writer.values[-1][0]: writer.values[-1][1]}
    name, shape = draw(st.sampled_from(writer.values[2:]))
    outputs[name] = shape
    types = [
        f"float[{','.join(f'{n}d{i}' for i in range(len(s)))}] {n}" if s else f"float {n}" for n, s in outputs.items()
    ]
    weights = f"<{', '.join(writer.weights)}>" if writer.weights else ""
    body = "\n".join(writer.lines)
    first = draw(st.sampled_from(["N", "2"]))
    return f"(float[{first},3,4] x, float[{first},3,4] z) => ({', '.join(types)}) {weights} {{ {body} }}", opset


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains())
def test_random_chains_keep_their_answers(drawn: tuple[str, int]) -> None:
    text, opset = drawn
    before = model_of_text(text, opset=opset)
    found = rewrite(before, structural(), evaluate=evaluate)
    assert not found.journal.notes
    assert found.model.graph.num_nodes() <= before.graph.num_nodes()
    valid(found.model)
    same_answers(before, found.model)


@pytest.mark.parametrize("opset", [9, 11, 13, 20])
def test_a_pytorch_view_loses_its_arithmetic(opset: int) -> None:
    """`x.view(x.size(0), -1)` as exporters write it."""
    unsqueeze = "Unsqueeze<axes=[0]>(n)" if opset < 13 else "Unsqueeze(n, axes)"
    text = f"""(float[N,4,2,2] x) => (float[N,3] y)
    <int64 zero = {{0}}, int64[1] axes = {{0}}, int64[1] rest = {{-1}}, float[16,3] w, float[3] b>
    {{ a = Relu(x) s = Shape(a) n = Gather<axis=0>(s, zero) u = {unsqueeze} t = Concat<axis=0>(u, rest)
       f = Reshape(a, t) y = Gemm(f, w, b) }}"""
    before = model_of_text(text, opset=opset)
    found = rewrite(before, structural(), evaluate=evaluate)
    assert graph_lines(found.model) == ["a = Relu(x)", "f = Reshape(a, #)", "y = Gemm(f, #, #)"]
    same_answers(before, found.model)


def test_zero_in_a_target_still_copies_from_the_value_it_was_written_for() -> None:
    """The inner Reshape moves sizes; a 0 of the outer one must not copy from the input instead."""
    text = """(float[2,3,N] x) => (float[N,A,B] y) <int64[3] s = {-1,2,3}, int64[3] t = {0,3,2}>
    { a = Reshape(x, s) y = Reshape(a, t) }"""
    before = model_of_text(text)
    found = rewrite(before, structural(), evaluate=evaluate)
    same_answers(before, found.model)


def test_empty_tensors_keep_their_shape() -> None:
    text = """(float[0,3,4] x) => (float[0,12] y) <int64[3] s = {0,12,1}, int64[2] t = {0,12}>
    { a = Reshape(x, s) y = Reshape(a, t) }"""
    before = model_of_text(text)
    found = rewrite(before, structural(), evaluate=evaluate)
    same_answers(before, found.model)
