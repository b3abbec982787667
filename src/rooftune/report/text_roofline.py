"""A roofline in characters: the roof as a line, the operators as marks below it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from rooftune.report.ceilings import Ceilings, ceilings_of
from rooftune.report.operators import Operator, measured, predicted, same_run
from rooftune.report.reading import amount, positive, section, three

__all__ = ["text_roofline"]

_HEIGHT = 11
_MARGIN = 9  # columns of the axis labels


def text_roofline(record: Mapping[str, Any], columns: int, plain: bool) -> Text | None:
    """The chart, `columns` wide at most; None without a ceiling or without an operator to place."""
    ceilings = ceilings_of(record)
    series = _series(record)
    points = [
        (mark, style, x, y)
        for mark, style, operators in series
        for operator in operators
        if (x := positive(operator.intensity)) is not None and (y := positive(operator.rate)) is not None
    ]
    if ceilings.main_peak is None or not points:
        return None
    width = min(columns - _MARGIN - 1, 92)
    across = [x for _, _, x, _ in points] + [ceilings.ridge or 1.0]
    low_x, high_x = min(across) / 1.5, max(across) * 1.5
    top = max([y for _, _, _, y in points] + [ceilings.main_peak.value]) * 1.3
    bottom = max(min(y for _, _, _, y in points) / 1.5, top / 1e5)
    canvas = _Canvas(width, (low_x, high_x), (bottom, top))
    _draw_roof(canvas, ceilings, plain)
    for mark, style, x, y in points:
        canvas.put(x, y, ("o" if mark == "○" else "*") if plain else mark, style)
    return _framed(canvas, ceilings, series, plain)


def _series(record: Mapping[str, Any]) -> list[tuple[str, str, list[Operator]]]:
    profiles = section(record, "profiles")
    before, after = measured(profiles.get("before")), measured(profiles.get("after"))
    if not before and not after:
        return [("●", "blue", predicted(record))]
    if same_run(profiles.get("before"), profiles.get("after")):
        return [("●", "blue", after or before)]
    return [("○", "yellow", before), ("●", "blue", after)]


class _Canvas:
    """Cells of characters over logarithmic axes; the row 0 is the top."""

    def __init__(self, width: int, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        self.width = width
        self.cells: list[list[tuple[str, str]]] = [[(" ", "")] * width for _ in range(_HEIGHT)]
        self.x_range, self.y_range = x_range, y_range

    def column(self, x: float) -> int:
        low, high = self.x_range
        return round(math.log(x / low) / math.log(high / low) * (self.width - 1))

    def row(self, y: float) -> int:
        low, high = self.y_range
        return round((1 - math.log(y / low) / math.log(high / low)) * (_HEIGHT - 1))

    def x_at(self, column: int) -> float:
        low, high = self.x_range
        return float(low * (high / low) ** (column / (self.width - 1)))

    def put(self, x: float, y: float, character: str, style: str) -> None:
        column, row = self.column(x), self.row(y)
        if 0 <= column < self.width and 0 <= row < _HEIGHT:
            self.cells[row][column] = (character, style)


def _draw_roof(canvas: _Canvas, ceilings: Ceilings, plain: bool) -> None:
    flat, slope = ("-", "/") if plain else ("─", "╱")
    for column in range(canvas.width):
        x = canvas.x_at(column)
        roof = ceilings.roof(x)
        if roof is not None:
            sloping = ceilings.ridge is not None and x < ceilings.ridge
            canvas.put(x, roof, slope if sloping else flat, "bold")


def _framed(canvas: _Canvas, ceilings: Ceilings, series: list[tuple[str, str, list[Operator]]], plain: bool) -> Text:
    text = Text()
    upright, corner, level = ("|", "+", "-") if plain else ("│", "└", "─")
    low, high = canvas.y_range
    for row, cells in enumerate(canvas.cells):
        label = ""
        if row in {0, _HEIGHT // 2, _HEIGHT - 1}:
            label = amount(low * (high / low) ** (1 - row / (_HEIGHT - 1)), "F/s").replace(" ", "")
        text.append(f"{label:>{_MARGIN - 1}}{upright}", style="dim")
        for character, style in cells:
            text.append(character, style=style)
        text.append("\n")
    text.append(" " * (_MARGIN - 1) + corner + level * canvas.width + "\n", style="dim")
    left, right = f"{three(canvas.x_range[0])}", f"{three(canvas.x_range[1])} FLOP/B"
    middle = "intensity"
    gap = max(2, canvas.width - len(left) - len(right) - len(middle))
    text.append(f"{' ' * _MARGIN}{left}{' ' * (gap // 2)}{middle}{' ' * (gap - gap // 2)}{right}\n", style="dim")
    assert ceilings.main_peak is not None
    roof = [f"roof {ceilings.main_peak.name} {amount(ceilings.main_peak.value, ceilings.main_peak.unit)}"]
    if ceilings.main_bandwidth is not None:
        roof.append(f"{ceilings.main_bandwidth.name} {amount(ceilings.main_bandwidth.value, 'B/s')}")
    if ceilings.ridge is not None:
        roof.append(f"ridge {three(ceilings.ridge)} FLOP/B")
    text.append(f"{' ' * _MARGIN}{', '.join(roof)}", style="dim")
    if len(series) > 1:
        text.append("\n" + " " * _MARGIN)
        for (mark, style, _), name in zip(series, ("before  ", "after"), strict=True):
            text.append(("o" if mark == "○" else "*") if plain else mark, style=style)
            text.append(f" {name}", style="dim")
    return text
