"""Reading values: three digits, SI, and nothing invented where nothing is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooftune.report import reading
from rooftune.report.ledger import bar, segments


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (reading.amount, 4.089e9, "4.09 G"),
        (reading.amount, None, "–"),
        (reading.amount, True, "–"),
        (reading.amount, math.nan, "–"),
        (reading.amount, "2*N + 1", "2*N + 1"),
        (reading.amount, 10**400, "–"),
        (reading.duration, 0.00321, "3.21 ms"),
        (reading.duration, "x", "x s"),
        (reading.percent, 0.709, "70.9 %"),
        (reading.percent, 1, "100 %"),
        (reading.percent, 0.0001, "< 0.1 %"),
        (reading.percent, -0.021, "−2.1 %"),
        (reading.factor, 1.5, "1.50×"),
        (reading.small, 3.14e-6, "3.1e-6"),
        (reading.small, 0, "0"),
        (reading.byte_size, 48 * 1024, "48 KiB"),
        (reading.byte_size, 1.25 * 2**20, "1.25 MiB"),
        (reading.whole, 2, "2"),
        (reading.whole, 25557, "25,557"),
        (reading.words, {"streams": 1, "precision": "f32"}, "streams 1, precision f32"),
        (reading.words, "a\n\x1b[0m\u202eb", "a �[0m�b"),
        (reading.words, None, ""),
    ],
)
def test_text_forms(form: Any, value: object, text: str) -> None:
    assert form(value) == text


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_no_value_stops_a_form(value: object) -> None:
    for form in (
        reading.amount,
        reading.duration,
        reading.percent,
        reading.factor,
        reading.small,
        reading.byte_size,
        reading.whole,
        reading.ratio,
        reading.words,
    ):
        text = form(value)
        assert "nan" not in text or isinstance(value, str)
        text.encode()


@given(st.text(), st.integers(3, 50))
def test_shortened_keeps_to_its_limit(text: str, limit: int) -> None:
    short = reading.shortened(text, limit)
    assert len(short) <= limit
    assert short == text or "…" in short


def test_a_ledger_keeps_its_numbers_and_fills_its_bar() -> None:
    parts = segments({"roof": 0.8, "traffic": 0.3, "residual": -0.1, "nonsense": 3})
    assert [(part.cause.key, part.share) for part in parts] == [("roof", 0.8), ("traffic", 0.3), ("residual", -0.1)]
    assert sum(part.width for part in parts) == pytest.approx(1)
    assert parts[-1].width == 0


def test_an_unknown_ledger_is_no_bar() -> None:
    assert segments(None) == ()
    assert segments({"roof": None}) == ()
    assert bar("before", {"model_seconds": 1.0}, 1.0) is None
