"""The verdict of a record in one sentence, and the key figures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rooftune.report.reading import (
    amount,
    duration,
    factor,
    number,
    percent,
    positive,
    ratio,
    section,
    settings_text,
    small,
    whole,
    words,
)

__all__ = ["Fact", "Key", "facts", "key_figures", "kind_of", "model_name", "verdict"]

KINDS = ("optimize", "rewrite", "profile", "analyze")


@dataclass(frozen=True)
class Key:
    """A key figure: what it is, its value, and a line that qualifies it."""

    title: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Fact:
    """A thing the reader must know to place the figures: model, machine, date."""

    title: str
    value: str


def kind_of(record: Mapping[str, Any]) -> str:
    """What made the record: one of `KINDS`; guessed from its contents where it does not say."""
    kind = words(record.get("kind"))
    if kind in KINDS:
        return kind
    if section(record, "best") or record.get("candidates"):
        return "optimize"
    if section(record, "profiles"):
        return "profile"
    return "rewrite" if section(record, "rewrite") else "analyze"


def model_name(record: Mapping[str, Any]) -> str:
    model = section(record, "model")
    path = words(model.get("path")).replace("\\", "/").rsplit("/", 1)[-1]
    return words(model.get("name")) or path or "model"


def verdict(record: Mapping[str, Any]) -> str:
    """The sentence the pipeline wrote, or one from the figures."""
    written = words(record.get("verdict"))
    if written:
        return written
    name, kind = model_name(record), kind_of(record)
    machine = words(section(record, "machine").get("name"))
    where = f" on {machine}" if machine else ""
    if kind == "optimize":
        return f"{name}{where}: {_optimize_outcome(record)}"
    if kind == "profile":
        profile = section(record, "profiles", "after") or section(record, "profiles", "before")
        seconds, roof = positive(profile.get("model_seconds")), number(section(profile, "ledger").get("roof"))
        share = f", {percent(roof)} of it the lower bound of this machine" if roof is not None else ""
        return (
            f"{name} takes {duration(seconds)}{where}{share}." if seconds else f"{name}{where}: no time was measured."
        )
    if kind == "rewrite":
        return f"{name}: {_nodes_outcome(record)}"
    totals = section(record, "analysis", "totals")
    bound = words(totals.get("bound"))
    sentence = f"{name} needs at least {duration(totals.get('roof_seconds'))}{where}"
    if positive(totals.get("roof_seconds")) is None:
        return f"{name}{where}: the lower bound is unknown."
    return f"{sentence}; most of that is {bound}-bound work." if bound else f"{sentence}."


def _optimize_outcome(record: Mapping[str, Any]) -> str:
    before, after = section(record, "baseline").get("seconds"), section(record, "best").get("seconds")
    gain, low = number(section(record, "speedup").get("median")), number(section(record, "speedup").get("low"))
    if positive(after) is None:
        return "no candidate could be measured."
    if gain is None or positive(before) is None:
        return f"runs in {duration(after)}."
    if (low is not None and low <= 1) or gain <= 1:
        return f"nothing was gained over the baseline of {duration(before)}."
    return f"from {duration(before)} to {duration(after)}, {factor(gain)} as fast."


def _nodes_outcome(record: Mapping[str, Any]) -> str:
    rewrite = section(record, "rewrite")
    before, after = rewrite.get("nodes_before"), rewrite.get("nodes_after")
    if number(before) is None or number(after) is None:
        return "it is not known what the rewriting did."
    if before == after:
        return f"{whole(after)} nodes, as before."
    return f"from {whole(before)} to {whole(after)} nodes."


def key_figures(record: Mapping[str, Any]) -> list[Key]:
    """The figures a reader looks for first; those without data are left out."""
    kind = kind_of(record)
    if kind == "rewrite":
        return [key for key in _rewrite_keys(record) if key is not None]
    keys: list[Key | None] = []
    if kind == "optimize":
        keys += [_before_after(record), _speedup(record), _error(record)]
    keys += [_measured(record) if kind == "profile" else None, _roof(record)]
    totals = section(record, "analysis", "totals")
    if kind == "analyze":
        keys += [
            _plain("Predicted time", duration, totals.get("predicted_seconds")),
            _plain(
                "Lower bound",
                duration,
                totals.get("roof_seconds"),
                words(totals.get("bound")) and f"{words(totals.get('bound'))}-bound",
            ),
        ]
    if kind != "optimize":
        keys += [_plain("FLOPs", amount, totals.get("flops"), _intensity(totals))]
    if kind == "analyze":
        keys += [_plain("Parameters", amount, totals.get("params"), _weights(totals))]
    coverage = number(totals.get("coverage"))
    if coverage is not None:
        keys.append(
            Key("Coverage", percent(coverage), "of the nodes have a known cost", "" if coverage >= 0.9 else "bad")
        )
    return [key for key in keys if key is not None]


def _rewrite_keys(record: Mapping[str, Any]) -> list[Key | None]:
    """The graph before and after, and whether the result was proven equal."""
    rewrite = section(record, "rewrite")
    old, new = section(rewrite, "totals_before"), section(rewrite, "totals_after")
    seconds = positive(old.get("predicted_seconds")), positive(new.get("predicted_seconds"))
    machine = words(section(record, "machine").get("name"))
    gain = [factor(seconds[0] / seconds[1]) + " as fast"] if seconds[0] and seconds[1] else []
    gain = [] if gain == ["1.00× as fast"] else gain
    verified = _error(record, "original")
    if verified is None:
        verified = Key("Error vs original", "NOT verified", "neither model was run", "bad")
    return [
        _change("Nodes", whole, rewrite.get("nodes_before"), rewrite.get("nodes_after")),
        _change("Predicted time", duration, *seconds, " ".join([*gain, *([f"on {machine}"] if machine else [])])),
        _change("FLOPs", amount, old.get("flops"), new.get("flops")),
        _change("Bytes", _size, section(old, "bytes").get("fused"), section(new, "bytes").get("fused"), "fused view"),
        _change("Footprint", _size, old.get("footprint_bytes"), new.get("footprint_bytes"), "at the peak of a run"),
        verified,
    ]


def _size(value: object) -> str:
    return amount(value, "B")


def _change(title: str, form: Any, before: object, after: object, note: str = "") -> Key | None:
    """`152 → 100`; one figure where both read the same, none where neither is known."""
    if all(value is None or isinstance(value, bool | list | dict) for value in (before, after)):
        return None
    texts = dict.fromkeys((form(before), form(after)))
    return Key(title, " → ".join(texts), note)


def _plain(title: str, form: Any, value: object, note: str = "") -> Key | None:
    if value is None or value == "" or isinstance(value, bool | list | dict):
        return None
    return Key(title, form(value), note)


def _intensity(totals: Mapping[str, Any]) -> str:
    return f"{ratio(totals.get('intensity'))} FLOP/B" if positive(totals.get("intensity")) else ""


def _weights(totals: Mapping[str, Any]) -> str:
    return f"{amount(totals.get('weight_bytes'), 'B')} of weights" if positive(totals.get("weight_bytes")) else ""


def _before_after(record: Mapping[str, Any]) -> Key | None:
    before, after = section(record, "baseline"), section(record, "best")
    if positive(after.get("seconds")) is None:
        return None
    sides = [text for side in (before, after) if (text := words(side.get("name")) or words(side.get("backend")))]
    value = duration(after.get("seconds"))
    if positive(before.get("seconds")) is not None:
        value = f"{duration(before.get('seconds'))} → {value}"
    return Key("Time per run", value, " → ".join(dict.fromkeys(sides)))


def _speedup(record: Mapping[str, Any]) -> Key | None:
    speedup = section(record, "speedup")
    median, low, high = (number(speedup.get(key)) for key in ("median", "low", "high"))
    if median is None:
        return None
    interval = f"interval {factor(low)} – {factor(high)}" if low is not None and high is not None else ""
    notes = [interval]
    if speedup.get("settled") is False:
        notes.append("the race's twins did not settle")
    tone = "good" if (low or 0) > 1 else "bad" if high is not None and high < 1 else ""
    return Key("Speed-up", factor(median), ", ".join(filter(None, notes)), tone)


def _error(record: Mapping[str, Any], against: str = "reference") -> Key | None:
    found = section(record, "verification")
    passed, error = found.get("passed"), number(found.get("max_relative_error"))
    if error is None and not isinstance(passed, bool):
        return None
    tolerance = number(found.get("tolerance"))
    outcome = "passed" if passed is True else "not passed" if passed is False else ""
    note = ", ".join(
        filter(
            None,
            (outcome, f"tolerance {small(tolerance)}" if tolerance is not None else "", words(found.get("reason"))),
        )
    )
    tone = "good" if passed is True else "bad" if passed is False else ""
    return Key(f"Error vs {against}", small(error), note, tone)


def _measured(record: Mapping[str, Any]) -> Key | None:
    profile = section(record, "profiles", "after") or section(record, "profiles", "before")
    if positive(profile.get("model_seconds")) is None:
        return None
    attributed = number(profile.get("attributed_share"))
    note = f"{percent(attributed)} attributed to operators" if attributed is not None else ""
    return Key("Measured time", duration(profile.get("model_seconds")), note)


def _roof(record: Mapping[str, Any]) -> Key | None:
    after = number(section(record, "profiles", "after", "ledger").get("roof"))
    before = number(section(record, "profiles", "before", "ledger").get("roof"))
    if after is None and before is None:
        return None
    if after is not None and before is not None and abs(after - before) > 5e-4:
        return Key("Share of the roof", f"{percent(before)} → {percent(after)}", "lower bound over measured time")
    return Key("Share of the roof", percent(before if after is None else after), "lower bound over measured time")


def facts(record: Mapping[str, Any]) -> list[Fact]:
    """Model, machine, threads, winning settings, date."""
    machine, best = section(record, "machine"), section(record, "best")
    threads = (
        best.get("threads") or section(record, "settings").get("threads") or section(record, "analysis").get("threads")
    )
    winner = ", ".join(filter(None, (words(best.get("backend")), settings_text(best.get("settings")))))
    analysis_machine = words(section(record, "analysis").get("machine"))
    pairs = (
        ("Model", model_name(record)),
        ("Machine", words(machine.get("name")) or words(machine.get("id")) or analysis_machine),
        ("Threads", whole(threads) if positive(threads) else ""),
        ("Runs with", winner),
        ("Native", _native_share(record)),
        ("Date", words(record.get("created")).replace("T", " ").removesuffix("Z").strip() + _zone(record)),
    )
    return [Fact(title, value) for title, value in pairs if value.strip()]


def _native_share(record: Mapping[str, Any]) -> str:
    """What of the model our own compiler runs, where it runs anything."""
    share = section(record, "profiles", "after", "native_share") or section(
        record, "profiles", "before", "native_share"
    )
    nodes, time = number(share.get("nodes")), number(share.get("time"))
    if nodes is None:
        return ""
    return f"{percent(nodes)} of nodes" + (f", {percent(time)} of time" if time is not None else "")


def _zone(record: Mapping[str, Any]) -> str:
    return " UTC" if words(record.get("created")).endswith("Z") else ""
