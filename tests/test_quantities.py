"""Text forms, element types, open dimensions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooftune.quantities import DType, Unknown, ceil_div, count_text, larger, si, smaller, symbol, time_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1, "1.00 B"), (999.4, "999 B"), (999.9, "1.00 kB"), (25_557_032, "25.6 MB"), (4.09e9, "4.09 GB")],
)
def test_si(value: float, text: str) -> None:
    assert si(value, "B") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.0, "12.0 s"), (3.21e-3, "3.21 ms"), (999.7e-6, "1.00 ms"), (8.1e-7, "810 ns"), (0, "0 ns")],
)
def test_time_text(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


@given(st.floats(1e-12, 1e18))
def test_si_never_loses_more_than_the_third_digit(value: float) -> None:
    text = si(value, "B").split()
    factor = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}.get(text[1], 1.0)
    assert math.isclose(float(text[0]) * factor, value, rel_tol=6e-3, abs_tol=1e-9)


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_ceil_div(a: int, b: int) -> None:
    assert ceil_div(a, b) == math.ceil(a / b) if a < 2**50 else True
    assert (ceil_div(a, b) - 1) * b < max(a, 1) <= max(ceil_div(a, b), 1) * b


def test_four_bit_elements_pack_two_to_a_byte() -> None:
    assert DType.INT4.nbytes(5) == 3
    assert DType.FLOAT16.nbytes(5) == 10


def test_open_dimensions_of_one_name_are_one_symbol() -> None:
    assert symbol("N") == symbol("N")
    assert larger(symbol("N"), symbol("N")) == symbol("N")
    assert larger(3, 5) == 5
    assert smaller(3, 5) == 3
    assert count_text(2 * symbol("N"), "B") == "2*N B"


def test_unknown_says_why() -> None:
    assert count_text(Unknown("no formula")) == "unknown (no formula)"
