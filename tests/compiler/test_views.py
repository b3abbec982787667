"""Views against NumPy: whatever is reshaped, transposed, cut and moved shows the same numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rooftune.compiler.views import (
    Factor,
    Shape,
    View,
    broadcast,
    default_axes,
    narrowed,
    reshaped,
    transposed,
    whole_view,
)


def shown(view: View, held: NDArray[Any]) -> NDArray[Any]:
    """The tensor that a view shows, element by element."""
    found = np.empty(view.sizes, held.dtype)
    for index in np.ndindex(*view.sizes):
        point = list(view.start)
        for place, factors in zip(index, view.dims, strict=True):
            rest = place
            for factor in reversed(factors):
                point[factor.axis] += rest % factor.size * factor.step
                rest //= factor.size
        found[index] = held[tuple(point)] * view.scale
    return found


def laid(tensor: NDArray[Any], axes: tuple[int, ...], shape: Shape) -> NDArray[Any]:
    order = sorted(range(tensor.ndim), key=lambda d: axes[d])
    return tensor.transpose(order).reshape(shape)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[NDArray[Any], View, NDArray[Any]]:
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=0, max_size=5))
    tensor = np.arange(math.prod(sizes)).reshape(sizes)
    axes = default_axes(len(sizes)) if draw(st.booleans()) else tuple(draw(st.integers(0, 3)) for _ in sizes)
    view, shape = whole_view("x", sizes, axes)
    return tensor, view, laid(tensor, axes, shape)


@given(tensors())
@settings(max_examples=200, deadline=None)
def test_a_whole_view_shows_the_tensor(case: tuple[NDArray[Any], View, NDArray[Any]]) -> None:
    tensor, view, held = case
    assert view.sizes == tensor.shape
    assert np.array_equal(shown(view, held), tensor)
    assert view.covers((held.shape[0], held.shape[1], held.shape[2], held.shape[3]))


@given(tensors(), st.data())
@settings(max_examples=400, deadline=None)
def test_steps_on_views_are_those_on_arrays(case: tuple[NDArray[Any], View, NDArray[Any]], data: st.DataObject) -> None:
    tensor, view, held = case
    for _ in range(data.draw(st.integers(1, 4))):
        step = data.draw(st.sampled_from(["reshape", "transpose", "narrow", "broadcast"]))
        if step == "transpose":
            order = data.draw(st.permutations(range(tensor.ndim)))
            tensor, view = tensor.transpose(order), transposed(view, order)
        elif step == "narrow" and tensor.ndim:
            dim = data.draw(st.integers(0, tensor.ndim - 1))
            first = data.draw(st.integers(0, tensor.shape[dim] - 1))
            stride = data.draw(st.integers(1, 2))
            size = data.draw(st.integers(1, (tensor.shape[dim] - first - 1) // stride + 1))
            cut = narrowed(view, dim, first, size, stride)
            if cut is not None:
                taken = [slice(None)] * tensor.ndim
                taken[dim] = slice(first, first + (size - 1) * stride + 1, stride)
                tensor, view = tensor[tuple(taken)], cut
        elif step == "broadcast":
            sizes = (*([2] if tensor.ndim < 5 else []), *(3 if s == 1 else s for s in tensor.shape))
            if math.prod(sizes) <= 2000:
                tensor, view = np.broadcast_to(tensor, sizes), broadcast(view, sizes)
        elif step == "reshape":
            sizes = _divided(tensor.size, data)
            other = reshaped(view, sizes)
            if other is not None:
                tensor, view = tensor.reshape(sizes), other
        assert view.sizes == tensor.shape
        assert np.array_equal(shown(view, held), tensor)


def _divided(count: int, data: st.DataObject) -> tuple[int, ...]:
    sizes = []
    while count > 1:
        size = data.draw(st.sampled_from([d for d in range(2, count + 1) if count % d == 0]))
        sizes.append(size)
        count //= size
    return tuple(sizes)


def test_neighbours_in_one_run_are_joined() -> None:
    view, _ = whole_view("x", (1, 197, 192), default_axes(3))
    heads = reshaped(view, (1, 197, 3, 64))
    assert heads is not None
    turned = transposed(heads, (0, 2, 1, 3))
    assert turned.dims == ((), (Factor(3, 1, 64),), (Factor(197, 3, 1),), (Factor(64, 1, 1),))
    back = reshaped(transposed(turned, (0, 2, 1, 3)), (1, 197, 192))
    assert back == view


def test_what_would_move_elements_is_no_view() -> None:
    view, _ = whole_view("x", (4, 6), default_axes(2))
    assert reshaped(transposed(view, (1, 0)), (4, 6)) is None
    assert narrowed(View("x", ((Factor(2, 0, 1), Factor(3, 1, 1)),)), 0, 1, 3) is None
