"""The report as one HTML page: works offline, without a request to anywhere, and in its tables without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rooftune.errors import InputError
from rooftune.report import machine_tables, palette, rewriting, tables
from rooftune.report.algorithms import algorithm_table
from rooftune.report.figures import Roofline, roofline
from rooftune.report.ledger import CAUSES, Bar, bar
from rooftune.report.operators import Operator, measured, operator_table, predicted, same_run
from rooftune.report.reading import duration, number, percent, positive, ratio, section, shortened, words
from rooftune.report.summary import facts, key_figures, kind_of, model_name, verdict
from rooftune.report.table import Table

__all__ = ["render_html", "write_html"]

PAGE_ROWS = 200
"""Rows of a table shown before "show all" is pressed."""

TOP_OPERATORS = 12

_SEPARATED = re.compile(r"[^/:_]+[/:_]*|[/:_]+")


def render_html(record: Mapping[str, Any]) -> str:
    """The report page of a record.

    Any field may be missing or null: what has no data has no section. Names from the model are escaped, the
    embedded JSON cannot end its element, and the page's policy lets only its own two scripts run.
    """
    chart = roofline(record)
    scripts = _scripts() if chart is not None else _scripts()[1:]
    page = _environment().get_template("page.html.j2")
    return page.render(
        title=f"{shortened(model_name(record), 60)} · Rooftune {kind_of(record)} report",
        kind=kind_of(record),
        policy=_policy(scripts),
        light=Markup(palette.css_variables(palette.LIGHT)),
        dark=Markup(palette.css_variables(palette.DARK)),
        style=Markup(_asset("style.css")),
        scripts=[Markup(script) for script in scripts],
        verdict=verdict(record),
        keys=key_figures(record),
        facts=facts(record),
        warnings=[text for item in _list(section(record, "model").get("warnings")) if (text := words(item))],
        rewritten=bool(section(record, "rewrite")),
        rewrite_notes=rewriting.notes(record),
        changes=rewriting.changes_by_rule(record),
        chart=chart,
        chart_json=_embedded(_chart_data(chart)),
        record_json=_embedded(record),
        page_rows=PAGE_ROWS,
        rooftune=words(record.get("rooftune")),
        method=[text for item in _list(record.get("method")) if (text := words(item))],
        duration=duration,
        ratio=ratio,
        percent=percent,
        **_ledger(record),
        **_tables(record),
    )


def write_html(record: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the report page to `path`, whole or not at all."""
    target = Path(path)
    page = render_html(record)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(page)
        temporary.replace(target)
    except OSError as error:
        cause = f"the report cannot be written to {target}: {error.strerror}"
        raise InputError(cause, "choose a file in a folder you can write to") from error
    finally:
        temporary.unlink(missing_ok=True)


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _ledger(record: Mapping[str, Any]) -> dict[str, Any]:
    """The bars of the model's time and of its slowest operators."""
    profiles = section(record, "profiles")
    before, after = profiles.get("before"), profiles.get("after")
    if same_run(before, after):
        runs = [("measured", section(after) or section(before))]
    else:
        runs = [("before", section(before)), ("after", section(after))]
    longest = max((positive(run.get("model_seconds")) or 0.0 for _, run in runs), default=0.0)
    bars: list[Bar] = [made for title, run in runs if (made := bar(title, run, longest)) is not None]
    operators = measured(runs[-1][1]) or measured(runs[0][1]) or predicted(record)
    top = [operator for operator in operators if positive(operator.seconds)][:TOP_OPERATORS]
    return {
        "bars": bars,
        "causes": [cause for cause in CAUSES if any(b.share(cause.key) is not None for b in bars)],
        "top": [_top_bar(operator, top[0]) for operator in top],
        "top_count": len(operators),
        "top_measured": any(operator.is_measured for operator in top),
    }


def _top_bar(operator: Operator, slowest: Operator) -> dict[str, Any]:
    seconds, longest = number(operator.seconds) or 0.0, number(slowest.seconds) or 1.0
    roof = number(operator.roof_seconds)
    return {
        "name": shortened(operator.name or "(unnamed)", 48),
        "full": operator.name[:2000],
        "op": shortened(operator.op, 32),
        "width": 100 * seconds / longest,
        "roof": 100 * min(1.0, max(0.0, roof / seconds)) if roof is not None and seconds else None,
        "seconds": duration(operator.seconds),
        "roof_seconds": duration(operator.roof_seconds),
        "share": percent(operator.share) if operator.share is not None else "",
        "cause": shortened(operator.cause, 60),
    }


def _tables(record: Mapping[str, Any]) -> dict[str, Table | None]:
    profiles = section(record, "profiles")
    before, after = measured(profiles.get("before")), measured(profiles.get("after"))
    groups = predicted(record)
    single = same_run(profiles.get("before"), profiles.get("after"))
    main = after or before
    if main:
        caption = "Operators as measured" if single else f"Operators of the {'best' if after else 'baseline'} run"
        operators = operator_table(main, "operators", f"{caption}, the slowest first")
    else:
        operators = operator_table(groups, "operators", "Groups of operators as predicted, the slowest first")
    made = {
        "operators": operators,
        "operators_before": operator_table(
            before if after and not single else [],
            "operators-before",
            "Operators of the baseline run, the slowest first",
        ),
        "rules_applied": rewriting.applied_table(record),
        "rules_refused": rewriting.refusal_table(record),
        "steps": tables.step_table(record),
        "candidates": tables.candidate_table(record),
        "refused": tables.refused_table(record),
        "unknown": tables.unknown_table(record),
        "conventions": tables.convention_table(record),
        "totals": tables.total_table(record),
        "outputs": tables.output_table(record),
        "counterfactuals": tables.counterfactual_table(record),
        "algorithms": algorithm_table(record),
        "peaks": machine_tables.peak_table(record),
        "levels": machine_tables.level_table(record),
        "environment": machine_tables.environment_table(record),
    }
    return {name: table if table.rows else None for name, table in made.items()}


def _chart_data(chart: Roofline | None) -> dict[str, Any]:
    colours = {"light": palette.LIGHT, "dark": palette.DARK}
    return {"figure": chart.figure if chart else None, "palettes": colours}


def _embedded(value: object) -> Markup:
    """JSON that can stand inside a script element: no character in it can end or comment out the element."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _finite(value: object) -> object:
    # NaN and infinity are no JSON: a number nobody can state is null
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


@cache
def _asset(name: str) -> str:
    return files("rooftune.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _scripts() -> tuple[str, str]:
    """The chart library and the page's own script, as they stand between the tags."""
    library = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return library.replace("\r\n", "\n").replace("</script", "<\\/script"), _asset("page.js")


def _policy(scripts: tuple[str, ...]) -> str:
    """Content security policy: nothing is fetched, and no script runs but those of this page, known by their hash."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rooftune.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """The text with places to break a line at the separators of node names."""
    return Markup("<wbr>").join(f"{part}" for part in _SEPARATED.findall(text)) if len(text) > 12 else escape(text)
