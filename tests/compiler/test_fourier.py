"""Fourier transforms of vectors against NumPy's, and convolutions by them on every vector width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rooftune.compiler.choose import candidates, estimate
from rooftune.compiler.emit.fourier import real_inverse, real_transform, transform
from rooftune.compiler.emit.work import begin
from rooftune.compiler.kernels.fourier import Fourier
from rooftune.compiler.kernels.grouped import Grouped
from rooftune.compiler.machine_code import emit_object
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Activation
from rooftune.compiler.target import Target, target_for

from .running import TARGETS, apply_kernel, lowered, program
from .test_grouped import OPERATION, Case, check

FIRST = next(iter(TARGETS.values()))


def emitted(kind: str, size: int, target: Target, numbers: np.ndarray) -> np.ndarray:
    """What the code for one transform makes of rows of numbers, one vector each."""
    code, at = begin("test", ["x", "y"], target)
    x = [code.load(at["x"], row * target.lanes) for row in range(len(numbers))]
    if kind == "real":
        first, between, middle = real_transform(code, x)
        y = [first, middle, *(part for pair in between for part in pair)]
    elif kind == "real inverse":
        y = real_inverse(code, x[0], list(zip(x[2::2], x[3::2], strict=True)), x[1])
    else:
        pairs = list(zip(x[::2], x[1::2], strict=True))
        y = [part for pair in transform(code, pairs, inverse=kind == "inverse") for part in pair]
    for row, value in enumerate(y):
        code.store(value, at["y"], row * target.lanes)
    given, made = numbers.astype(np.float32), np.empty(numbers.shape, np.float32)
    apply_kernel(code, target, given, made)
    return made


def exact(kind: str, size: int, numbers: np.ndarray) -> np.ndarray:
    """The same by NumPy, in double."""
    x = numbers.astype(np.float32).astype(np.float64)
    y = np.empty_like(x)
    if kind == "real":
        bins = np.fft.rfft(x, axis=0)
        y[0], y[1], y[2::2], y[3::2] = bins[0].real, bins[-1].real, bins[1:-1].real, bins[1:-1].imag
    elif kind == "real inverse":
        y = np.fft.irfft(np.concatenate([x[:1], x[2::2] + 1j * x[3::2], x[1:2]]), n=size, axis=0) * size
    else:
        bins = x[::2] + 1j * x[1::2]
        bins = np.fft.ifft(bins, axis=0) * size if kind == "inverse" else np.fft.fft(bins, axis=0)
        y[::2], y[1::2] = bins.real, bins.imag
    return y


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("kind", ["real", "real inverse", "complex", "inverse"])
def test_the_transforms_are_those_of_numpy(kind: str, isa: str) -> None:
    target = TARGETS[isa]
    for size in (2, 4, 8, 16, *((32, 64) if target is FIRST else ())):
        rows = size if kind.startswith("real") else 2 * size
        numbers = np.random.default_rng(size).standard_normal((rows, target.lanes))
        expected = exact(kind, size, numbers)
        error = np.abs(emitted(kind, size, target, numbers) - expected).max() / np.abs(expected).max()
        assert error < 4e-7, (kind, size)


FIVE = replace(OPERATION, kernel=(5, 5), pads=(2, 2, 2, 2))
CASES = {
    "5x5": (Case(1, 20, 33, size=(9, 13), op=FIVE), (8,)),
    "first layer": (Case(1, 3, 16, size=(11, 18), op=replace(FIVE, kernel=(7, 7), pads=(3, 3, 3, 3))), (16,)),
    "unequal, images": (
        Case(1, 7, 40, size=(12, 9), images=2, op=replace(FIVE, kernel=(9, 5), pads=(1, 0, 4, 2))),
        (16,),
    ),
    "sum and activation": (
        Case(1, 16, 64, size=(7, 7), op=replace(FIVE, residual="r", activation=Activation("relu"), bias="")),
        (8,),
    ),
    "one channel, one tile": (Case(1, 1, 1, size=(4, 4), op=FIVE), (8,)),
    "by channel": (Case(21, 1, 1, size=(9, 20), images=2, op=FIVE), (8,)),
    "by channel, sum and activation": (
        Case(16, 1, 1, size=(10, 7), op=replace(FIVE, kernel=(7, 5), residual="r", activation=Activation("relu"))),
        (16,),
    ),
}
LARGE = {
    "11x11": (Case(1, 16, 16, size=(28, 30), op=replace(FIVE, kernel=(11, 11), pads=(5, 5, 5, 5))), (32,)),
    "31x31": (Case(1, 5, 8, size=(14, 40), op=replace(FIVE, kernel=(31, 31), pads=(15, 15, 15, 15))), (64,)),
    "31x31 by channel": (Case(18, 1, 1, size=(20, 36), op=replace(FIVE, kernel=(31, 31), pads=(15,) * 4)), (64,)),
}


def schedules(case: Case, tile: int, target: Target) -> list[Fourier]:
    """Few tiles at a time, so that batches are cut short, and all together; weights transformed ahead and not."""
    if case.groups > 1:
        return [Fourier(tile)]
    blocks = -(-case.outs // target.lanes)
    down, across = (-(-n // (tile - k + 1)) for n, k in zip(case.y[2:], case.op.kernel, strict=True))
    whole = -(-(case.images * down * across) // 3) * 3
    most = max(v for v in (1, 2, 4) if blocks % v == 0)
    return [
        Fourier(tile, 4, 2, most),
        Fourier(tile, whole, 3, 1, together=True),
        Fourier(tile, 4, 2, 1, raw=True),
        Fourier(tile, whole, 3, most, together=True, raw=True),
    ]


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("name", list(CASES))
def test_every_schedule_gives_the_convolution(name: str, isa: str) -> None:
    case, tiles = CASES[name]
    every = [s for tile in tiles for s in schedules(case, tile, TARGETS[isa])]
    # a schedule meets every vector width somewhere; all of them meet all in the sweep
    start = (list(CASES).index(name) + list(TARGETS).index(isa)) % min(2, len(every))
    for schedule in every[start::2]:
        check(case, TARGETS[isa], schedule, threads=2)


@pytest.mark.slow
@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("name", list(CASES | LARGE))
def test_every_schedule_on_every_processor(name: str, isa: str) -> None:
    case, tiles = (CASES | LARGE)[name]
    for threads, schedule in enumerate((s for tile in tiles for s in schedules(case, tile, TARGETS[isa])), start=1):
        check(case, TARGETS[isa], schedule, threads=1 + threads % 3)


@pytest.mark.parametrize("name", list(LARGE))
def test_large_kernels(name: str) -> None:
    case, tiles = LARGE[name]
    for tile in tiles:
        check(case, FIRST, schedules(case, tile, FIRST)[-1], threads=2)


def offered(case: Case, *, winograd: bool = True) -> list[Fourier]:
    x, y = Map(*case.x, FIRST.lanes), Map(*case.y, FIRST.lanes)
    found = candidates(case.operation, x, y, FIRST, winograd=winograd)
    return [s for s in found if isinstance(s, Fourier)]


def test_it_is_offered_where_it_saves_multiplications() -> None:
    seven = replace(FIVE, kernel=(7, 7), pads=(3, 3, 3, 3))
    many = Case(1, 64, 64, size=(56, 56), op=seven)
    assert offered(many)
    assert not offered(many, winograd=False), "only convolutions as they are written"
    assert not offered(Case(1, 64, 64, size=(56, 56)))
    assert not offered(replace(many, op=replace(seven, strides=(2, 2))))
    assert not offered(Case(64, 1, 1, size=(56, 56), op=seven)), "a tile's transforms cost more than its taps"
    assert offered(Case(64, 1, 1, size=(56, 56), op=replace(FIVE, kernel=(31, 31), pads=(15,) * 4)))


def test_guesses_prefer_it_where_it_wins_by_far() -> None:
    case = Case(1, 64, 64, size=(56, 56), op=replace(FIVE, kernel=(9, 9), pads=(4, 4, 4, 4)))
    x, y = Map(*case.x, FIRST.lanes), Map(*case.y, FIRST.lanes)
    best = min(candidates(case.operation, x, y, FIRST), key=lambda s: estimate(s, case.operation, x, y, FIRST))
    assert isinstance(best, Fourier)


@pytest.mark.parametrize("name", list(CASES))
def test_the_size_of_its_weights_is_known_before(name: str) -> None:
    case, tiles = CASES[name]
    arrays = case.arrays(0)
    x, y = Map(*case.x, FIRST.lanes), Map(*case.y, FIRST.lanes)
    for schedule in schedules(case, tiles[0], FIRST):
        made = schedule.weights(case.operation, arrays["w"], arrays["b"], x, y)
        assert sum(part.size for part in made.values()) == schedule.weight_floats(case.operation, x, y)


def test_arm_processors_get_their_own_code() -> None:
    target = target_for("neon")
    cases = (CASES["5x5"][0], CASES["by channel"][0])
    shapes = [(case, Fourier(8, raw=case.groups == 1)) for case in cases]
    for case, schedule in [*shapes, (Case(6, 2, 2), Grouped(5, 1, 2)), (Case(6, 3, 6), Grouped(5, 1))]:
        arrays = case.arrays(0)
        constants = {name: arrays[name] for name in ("w", "b")}
        made = program(lowered([case.operation], {"x": case.x, "y": case.y}, constants, ["x"], "y"), target, schedule)
        text = made.text(made.pack()[1])
        assert emit_object(text, "aarch64-unknown-linux-gnu", target.features)[:4] == b"\x7fELF"
