"""The roofline chart as a plotly figure, in plain data.

Colours are names of the palette with a `$` before them (`$after`): the page resolves them for light, dark and
paper, so one figure serves all three.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rooftune.report.ceilings import Ceiling, Ceilings, ceilings_of
from rooftune.report.operators import Operator, measured, predicted, same_run
from rooftune.report.reading import amount, duration, percent, positive, ratio, section, shortened, three

__all__ = ["POINT_LIMIT", "Roofline", "roofline"]

POINT_LIMIT = 1200
"""Operators drawn per series; a browser draws more only slowly, and the smallest of them are specks."""

_LARGEST_MARK = 34.0  # pixels
_SMALLEST_MARK = 6.0
_DECADES = 7.0  # of FLOP/s shown below the highest ceiling at most


@dataclass(frozen=True)
class Roofline:
    """The figure, and in words what of the operators is not on it."""

    figure: dict[str, Any]
    notes: tuple[str, ...]
    ridge: float | None


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    seconds: float
    operator: Operator


def roofline(record: Mapping[str, Any]) -> Roofline | None:
    """Operators under the machine's ceilings; None where there is neither a ceiling nor an operator to draw."""
    ceilings = ceilings_of(record)
    notes: list[str] = []
    series = []
    for title, colour, symbol, operators in _series(record):
        points = _points(operators, title, notes)
        if points:
            series.append((title, colour, symbol, points))
    if not series and ceilings.main_peak is None:
        return None
    drawn = [point for _, _, _, points in series for point in points]
    x_range, y_range = _ranges(drawn, ceilings)
    longest = max((point.seconds for point in drawn), default=1.0) or 1.0
    data = _ceiling_traces(ceilings, x_range, y_range)
    data += [_point_trace(title, colour, symbol, points, longest) for title, colour, symbol, points in series]
    return Roofline({"data": data, "layout": _layout(ceilings, x_range, y_range)}, tuple(notes), ceilings.ridge)


def _series(record: Mapping[str, Any]) -> list[tuple[str, str, str, list[Operator]]]:
    profiles = section(record, "profiles")
    before, after = profiles.get("before"), profiles.get("after")
    if not measured(before) and not measured(after):
        return [("predicted", "$after", "circle", predicted(record))]
    if same_run(before, after):
        return [("measured", "$after", "circle", measured(after) or measured(before))]
    return [("before", "$before", "circle-open", measured(before)), ("after", "$after", "circle", measured(after))]


def _points(operators: list[Operator], title: str, notes: list[str]) -> list[_Point]:
    """The operators that have a place on logarithmic axes; what has none goes into the notes."""
    points: list[_Point] = []
    flat: list[Operator] = []
    for operator in operators:
        intensity, rate = positive(operator.intensity), positive(operator.rate)
        if intensity is not None and rate is not None:
            points.append(_Point(intensity, rate, positive(operator.seconds) or 0.0, operator))
        else:
            flat.append(operator)
    if flat:
        time = sum(operator.share or 0.0 for operator in flat)
        some = "1 operator has" if len(flat) == 1 else f"{len(flat):,} operators have"
        notes.append(
            f"{title.capitalize()}: {some} no place on the chart ({percent(time)} of the time): "
            "without arithmetic or a known intensity a point cannot stand on logarithmic axes."
        )
    if len(points) > POINT_LIMIT:
        rest = sum(point.operator.share or 0.0 for point in points[POINT_LIMIT:])
        notes.append(
            f"{title.capitalize()}: the {POINT_LIMIT:,} slowest of {len(points):,} operators are drawn; "
            f"the others take {percent(rest)} of the time."
        )
    return points[:POINT_LIMIT]


def _ranges(points: list[_Point], ceilings: Ceilings) -> tuple[tuple[float, float], tuple[float, float]]:
    ridge = ceilings.ridge
    across = [point.x for point in points] + ([ridge / 30, ridge * 12] if ridge else [])
    low_x, high_x = min(across, default=0.1) / 1.8, max(across, default=1000.0) * 6
    tops = [point.y for point in points] + [peak.value for peak in ceilings.peaks]
    top = max(tops, default=1e12) * 2.2
    lows = [point.y / 2.5 for point in points]
    if ceilings.main_bandwidth is not None:
        lows.append(ceilings.main_bandwidth.value * low_x / 2)
    bottom = max(min(lows, default=top / 1e4), top / 10**_DECADES)
    return (max(low_x, high_x / 1e8), high_x), (bottom, top)


def _ceiling_traces(
    ceilings: Ceilings, x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    highest = max((peak.value for peak in ceilings.peaks), default=y_range[1])
    # labels of peaks stand at the right end, moved left where the peak below is too close for both to be read
    span = math.log10(x_range[1] / x_range[0])
    previous, column = 0.0, 0
    for peak in sorted(ceilings.peaks, key=lambda peak: peak.value):
        close = previous > 0 and math.log10(peak.value / previous) < 0.055 * math.log10(y_range[1] / y_range[0])
        column = column + 1 if close else 0
        previous = peak.value
        start = peak.value / (ceilings.bandwidths[0].value if ceilings.bandwidths else peak.value / x_range[0])
        if ceilings.main_bandwidth is not None and peak == ceilings.main_peak:
            start = min(start, peak.value / ceilings.main_bandwidth.value)
        label_x = x_range[1] / 10 ** (span * (0.015 + 0.27 * column))
        line = [(start, peak.value), (label_x, peak.value), (x_range[1] * 1e3, peak.value)]
        traces.append(
            _line(peak, sorted(line), label_x, "top left", peak == ceilings.main_peak, "dash", "number formats")
        )
    for level in ceilings.bandwidths:
        end = highest / level.value
        # labels stand where the line enters the picture: at its left edge, or on its bottom
        label_x = max(x_range[0], y_range[0] / level.value) * 10 ** (0.015 * span)
        line = [(x_range[0] / 1e3, level.value * x_range[0] / 1e3), (label_x, level.value * label_x)]
        main = level == ceilings.main_bandwidth
        if main and ceilings.ridge is not None and ceilings.main_peak is not None:
            # the roof itself is drawn bold and ends at the ridge; beyond it the level bounds the other formats
            bend = (ceilings.ridge, ceilings.main_peak.value)
            traces.append(_line(level, [bend, (end, highest)], None, "bottom right", False, "dot", "memory levels"))
            line.append(bend)
        else:
            line.append((end, highest))
        traces.append(_line(level, sorted(line), label_x, "bottom right", main, "dot", "memory levels"))
    return traces


def _line(
    ceiling: Ceiling,
    line: list[tuple[float, float]],
    label_x: float | None,
    place: str,
    main: bool,
    dash: str,
    group: str,
) -> dict[str, Any]:
    name = f"{ceiling.name} {amount(ceiling.value, ceiling.unit)}"
    safe = html.escape(shortened(name, 40), quote=False)
    return {
        "type": "scatter",
        "mode": "lines+text",
        "name": safe,
        "x": [x for x, _ in line],
        "y": [y for _, y in line],
        "text": [safe if x == label_x else "" for x, _ in line],
        "textposition": place,
        "textfont": {"size": 11, "color": "$ink" if main else "$muted"},
        "line": {
            "color": "$ink" if main else "$strong-line",
            "width": 2.2 if main else 1.2,
            "dash": "solid" if main else dash,
        },
        "hoverinfo": "skip",
        "meta": {
            "group": group,
            "label": shortened(name, 40),
            "key": "line",
            "main": main,
            "dash": "solid" if main else dash,
        },
    }


def _point_trace(title: str, colour: str, symbol: str, points: list[_Point], longest: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        "text": [_hover(point.operator) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": [point.seconds for point in points],
            "sizemode": "area",
            "sizeref": 2.0 * longest / _LARGEST_MARK**2,
            "sizemin": _SMALLEST_MARK / 2,
            "symbol": symbol,
            "color": colour,
            "opacity": 0.95 if symbol.endswith("open") else 0.72,
            "line": {
                "color": colour if symbol.endswith("open") else "$panel",
                "width": 1.6 if symbol.endswith("open") else 1,
            },
        },
        "meta": {
            "group": "operators, sized by time",
            "label": title,
            "key": "ring" if symbol.endswith("open") else "dot",
        },
    }


def _hover(operator: Operator) -> str:
    # plotly reads tags in labels: a name from a model must not become one
    def safe(text: str, limit: int = 60) -> str:
        return html.escape(shortened(text, limit), quote=False)

    bound = f"{operator.bound} {operator.level}".strip()
    time = f"{duration(operator.seconds)} {'measured' if operator.is_measured else 'predicted'}"
    lines = [
        f"<b>{safe(operator.name or '(unnamed)')}</b>",
        safe(operator.op),
        f"{time}, {percent(operator.share)} of the model" if operator.share is not None else time,
        f"intensity {ratio(operator.intensity)} FLOP/B",
        f"attained {amount(operator.rate, 'FLOP/s')}"
        if operator.is_measured
        else f"rate {amount(operator.rate, 'FLOP/s')}",
        f"lower bound {duration(operator.roof_seconds)}, {percent(operator.share_of_roof)} of roof",
        f"bound: {safe(bound)}" if bound else "",
        f"cause: {safe(operator.cause)}" if operator.cause else "",
    ]
    return "<br>".join(filter(None, lines))


def _layout(ceilings: Ceilings, x_range: tuple[float, float], y_range: tuple[float, float]) -> dict[str, Any]:
    axis = {
        "type": "log",
        "gridcolor": "$grid",
        "linecolor": "$strong-line",
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "tickcolor": "$strong-line",
        "dtick": 1,
        "minor": {"showgrid": False},
    }
    layout: dict[str, Any] = {
        "paper_bgcolor": "$panel",
        "plot_bgcolor": "$panel",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 12, "color": "$ink"},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "$panel",
            "bordercolor": "$strong-line",
            "font": {"color": "$ink", "size": 12},
            "align": "left",
            "namelength": -1,
        },
        "margin": {"l": 66, "r": 14, "t": 16, "b": 54},
        "xaxis": {
            **axis,
            # without a standoff: with one, plotly measures labels that may not be laid out yet and places it nowhere
            "title": {"text": "intensity (FLOP per byte moved)"},
            "range": [math.log10(x_range[0]), math.log10(x_range[1])],
            "tickformat": "~g",
        },
        "yaxis": {
            **axis,
            "title": {"text": "attained (FLOP/s)"},
            "range": [math.log10(y_range[0]), math.log10(y_range[1])],
            "tickformat": "~s",
        },
        "showlegend": False,
        "shapes": [],
        "annotations": [],
    }
    ridge = ceilings.ridge
    if ridge is not None and ceilings.main_peak is not None:
        layout["shapes"].append(
            {
                "type": "line",
                "x0": ridge,
                "x1": ridge,
                "y0": y_range[0] / 1e6,
                "y1": ceilings.main_peak.value,
                "line": {"color": "$strong-line", "width": 1, "dash": "dot"},
                "layer": "below",
            }
        )
        layout["annotations"].append(
            {
                "x": math.log10(ridge),
                "y": 0,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "left",
                "xshift": 4,
                "yshift": 3,
                "showarrow": False,
                "text": f"ridge {three(ridge)} FLOP/B",
                "font": {"size": 11, "color": "$muted"},
            }
        )
    return layout
