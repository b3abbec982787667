"""The record: what goes in comes out, nothing that is no JSON gets in, and files appear whole."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooftune import records
from rooftune.errors import InputError
from rooftune.plan import Step
from rooftune.quantities import Unknown, symbol
from rooftune.records import SCHEMA, Placed, Record, Speedup, plain, read_record, write_text_atomically
from rooftune.verify import Verification


def record(**changes: Any) -> Record:
    given: dict[str, Any] = {
        "kind": "optimize",
        "rooftune": "0.1.0",
        "created": "2026-11-21T00:00:00Z",
        "command": ["rooftune", "optimize", "m.onnx"],
        "verdict": "m runs 1.20× faster.",
        "model": {"name": "m", "inputs": [{"name": "x", "shape": ["N", 3]}]},
        "machine": {"id": "host"},
        "environment": {"load_average": (0.5, 0.25, 0.125)},
        "settings": {"threads": 2},
        "analysis": {"totals": {"macs": symbol("N") * 12, "roof_seconds": Unknown("open")}},
        "baseline": Placed("a", "onnxruntime", {}, 2, 2e-3),
        "best": Placed("b", "openvino", {"NUM_STREAMS": "1"}, 2, 1.6e-3),
        "speedup": Speedup(1.25, 1.2, 1.3, 12, {"median": 1.0, "low": 0.99, "high": 1.01}),
        "verification": Verification(True, 1e-7, 1e-5, "reassociates", ()),
        "steps": [Step("run_with_openvino", "engine", {"threads": 2}, 1.1, 1.25, True)],
    }
    return Record(**{**given, **changes})


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = record()
    written.write(tmp_path / "record.json")
    for source in (tmp_path, tmp_path / "record.json"):
        found = read_record(source)
        assert found == written.to_json()
    assert found["schema"] == SCHEMA
    assert found["analysis"]["totals"] == {"macs": "12*N", "roof_seconds": None}
    assert found["best"]["settings"] == {"NUM_STREAMS": "1"}
    assert found["steps"][0]["measured_gain"] == 1.25


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    size: int
    hidden: float = math.nan


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        (np.float32(np.nan), None),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (Unknown("why"), None),
        (symbol("N") * 2 + 1, "2*N + 1"),
        (symbol("N") * 0 + 5, 5),
        (Colour.RED, "red"),
        (Part(3), {"size": 3, "hidden": None}),
        ((1, (2.5, None)), [1, [2.5, None]]),
        ({1: {2: "x"}}, {"1": {"2": "x"}}),
        (Path("a/b"), "a/b"),
        ("bad\udc80byte", "bad\\udc80byte"),
    ],
)
def test_everything_becomes_json(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False).encode("utf-8")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_plain_values_are_their_own_plain_values(value: object) -> None:
    once = plain(value)
    assert plain(once) == once
    assert json.loads(json.dumps(once, allow_nan=False)) == once


BAD = {
    "nothing there": (None, "no record at"),
    "no JSON": (b"{", "no readable record"),
    "no text": (b"\xff\xfe\x00", "no readable record"),
    "too deep": (b"[" * 100_000, "no readable record"),
    "a list": (b"[1]", "no record"),
    "another object": (b'{"a": 1}', "no record"),
    "another schema": (b'{"schema": 2, "analysis": {}}', "schema 2"),
    "a schema that is no number": (b'{"schema": {}, "analysis": {}}', "schema {}"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_records_are_refused(what: str, tmp_path: Path) -> None:
    data, cause = BAD[what]
    file = tmp_path / "record.json"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(InputError, match=cause) as refused:
        read_record(file)
    assert refused.value.remedy


def test_numbers_that_are_none_are_read_as_unknown(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"schema": 1, "analysis": {"a": NaN, "b": [-Infinity]}}')
    assert read_record(tmp_path)["analysis"] == {"a": None, "b": [None]}


def test_a_record_has_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record().write(tmp_path / "record.json")
    monkeypatch.setattr(records, "_LARGEST", 100)
    with pytest.raises(InputError, match="larger than"):
        read_record(tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_text_atomically(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomically(target, "new \udc80")
    assert target.read_text() == "old"
    write_text_atomically(target, "new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [target], "no temporary file is left"


def test_a_step_is_of_a_known_kind() -> None:
    with pytest.raises(ValueError, match="not 'magic'"):
        Step("x", "magic", {})
