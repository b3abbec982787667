"""Machine files: exact round trips, and every kind of mistake named."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.errors import InputError
from rooftune.machine.files import (
    KINDS,
    LEVELS,
    MAX_FILE_BYTES,
    machine_text,
    parse_machine,
    read_machine,
    write_machine,
)
from rooftune.machine.spec import FORMATS, STANDINGS, Bandwidth, Level, Machine, Peak, Standing

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
filled = text.filter(lambda t: bool(t.strip()))
dates = st.sampled_from(["2026", "2026-11", "2026-11-20", "2026-11-20T12:00:00Z", "2026-11-20 12:00:00+01:00"])
standings = st.builds(Standing, st.sampled_from(STANDINGS), filled, dates, text)
threads = st.none() | st.integers(1, 1 << 16)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


peaks = st.builds(
    Peak,
    st.sampled_from(FORMATS),
    numbers(1e3, 1e21),
    standings,
    st.sampled_from(["vector", "matrix", "npu"]),
    accumulate=st.sampled_from(["", "fp32", "int32"]),
    sparse=st.booleans(),
    threads=threads,
    theoretical_flops_per_second=st.none() | numbers(1e3, 1e21),
    instruction=text,
    variation=st.none() | numbers(0, 10),
    clock_hz=st.none() | numbers(1e3, 1e11),
    lanes=st.none() | st.integers(1, 1 << 20),
    units=st.none() | st.integers(1, 1 << 20),
)
bandwidths = st.builds(
    Bandwidth,
    numbers(1e3, 1e17),
    standings,
    pattern=st.sampled_from(["read", "copy", "triad"]),
    threads=threads,
    stores=st.sampled_from(["ordinary", "non-temporal"]),
    variation=st.none() | numbers(0, 10),
    transfers_per_second=st.none() | numbers(1e3, 1e13),
    bus_bits=st.none() | st.integers(1, 1 << 20),
)


@st.composite
def levels(draw: st.DrawFn) -> tuple[Level, ...]:
    names = sorted(draw(st.sets(st.sampled_from(LEVELS))), key=LEVELS.index)
    size = st.none() | st.integers(1, 1 << 60)
    few = st.lists(bandwidths, max_size=3).map(tuple)
    return tuple(Level(name, draw(size), draw(few), draw(st.booleans())) for name in names)


machines = st.builds(
    Machine,
    st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20),
    filled,
    st.sampled_from(KINDS),
    st.lists(peaks, max_size=4).map(tuple),
    levels(),
    vendor=text,
    description=text,
    threads=threads,
    clock_hz=st.none() | numbers(1e3, 1e11),
    isa=st.lists(text, max_size=4).map(tuple),
    microarchitecture=text,
    power_mode=text,
    overhead_seconds=st.none() | numbers(0, 10),
    date=st.just("") | dates,
    notes=st.lists(text, max_size=3).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(machines)
def test_a_machine_survives_its_text(machine: Machine) -> None:
    assert parse_machine(machine_text(machine), "text") == machine


@settings(max_examples=20, deadline=None)
@given(machine=machines)
def test_a_machine_survives_a_file(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("machines") / "deep" / "m.toml"
    write_machine(machine, path)
    assert read_machine(path) == machine
    assert [p.name for p in path.parent.iterdir()] == ["m.toml"]  # no temporary file is left behind


GOOD = """
id = "one"
name = "One"
kind = "cpu"
clock_hz = 2.5e9

[[peak]]
format = "fp32"
flops_per_second = 1e11
standing = "measured"
source = "probe"
date = "2026-11"

[[level]]
name = "L1"
size_bytes = 32768
shared = false

[[level.bandwidth]]
bytes_per_second = 2e11
standing = "measured"
source = "probe"
date = "2026-11"

[[level]]
name = "DRAM"
"""


def test_the_documented_layout_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(GOOD)
    machine = read_machine(tmp_path / "one.toml")
    assert machine.peaks[0].flops_per_second == 1e11
    assert machine.levels[0].bandwidths[0].pattern == "read"
    assert machine.levels[0].shared is False and machine.levels[1].size_bytes is None
    assert machine.ridge() is not None and machine.clock_hz == 2.5e9


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("clock_hz = 2.5e9", "clock_ghz = 2.5", "clock_ghz", "did you mean clock_hz"),
        ("clock_hz = 2.5e9", 'clock_hz = "2.5 GHz"', "clock_hz", "without quotes"),
        ("clock_hz = 2.5e9", "clock_hz = 2.5", "clock_hz", "Hz from 1000"),
        ("clock_hz = 2.5e9", "clock_hz = true", "clock_hz", "found True"),
        ("flops_per_second = 1e11", "flops_per_second = -1e11", "peak[0].flops_per_second", "-1"),
        ("flops_per_second = 1e11", "flops_per_second = inf", "peak[0].flops_per_second", "inf"),
        ("flops_per_second = 1e11", "flops_per_second = nan", "peak[0].flops_per_second", "nan"),
        ("flops_per_second = 1e11", "flops_per_second = 1e30", "peak[0].flops_per_second", "1e+30"),
        ("flops_per_second = 1e11", "gflops = 100", "peak[0].gflops", "expected one of format"),
        ("flops_per_second = 1e11", "", "peak[0].flops_per_second", "found nothing"),
        ('format = "fp32"', 'format = "float32"', "peak[0].format", "fp32"),
        ('standing = "measured"', 'standing = "rumour"', "peak[0].standing", "datasheet"),
        ('source = "probe"', 'source = "probe"\nvariation = true', "peak[0].variation", "found True"),
        ('source = "probe"', 'source = "probe"\nthreads = true', "peak[0].threads", "found True"),
        ('source = "probe"', "", "peak[0].source", "found nothing"),
        ('source = "probe"', 'source = " "', "peak[0].source", "1 to 500"),
        ('date = "2026-11"', 'date = "last week"', "peak[0].date", "2026-11"),
        ("size_bytes = 32768", "size_bytes = 32768.0", "level[0].size_bytes", "whole number"),
        ("size_bytes = 32768", "size_bytes = 0", "level[0].size_bytes", "whole number"),
        ("shared = false", 'shared = "no"', "level[0].shared", "true or false"),
        ("bytes_per_second = 2e11", "bytes_per_second = 200", "level[0].bandwidth[0].bytes_per_second", "B/s"),
        ('name = "DRAM"', 'name = "memory"', "level[1].name", "DRAM"),
        ('name = "DRAM"', 'name = "L1"', "level", "each level once"),
        ('kind = "cpu"', 'kind = "toaster"', "kind", "gpu"),
        ('id = "one"', 'id = "../one"', "id", "small letters"),
        ('id = "one"', "", "id", "found nothing"),
        ("[[level]]", "[level]", "", "TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_machine(path)
    message = str(caught.value)
    assert str(path) in message and f": {key}" in message and says in message
    assert caught.value.exit_code == 2 and caught.value.remedy and "\n" not in caught.value.cause


def test_tables_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(InputError, match="double brackets"):
        parse_machine('id = "a"\nname = "A"\nkind = "cpu"\npeak = [1, 2]\n', "text")
    with pytest.raises(InputError, match="list of texts"):
        parse_machine('id = "a"\nname = "A"\nkind = "cpu"\nisa = "avx2"\n', "text")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"id = ", "no valid TOML"),
        (b"a = " + b"[" * 5000, "TOML|nested"),
        (b"#" * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_machine_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_machine(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing there"):
        read_machine(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_machine(tmp_path)


MACHINE = Machine("one", "One", "cpu", (), ())


def test_a_machine_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    write_machine(MACHINE, path)
    before = path.read_bytes()
    wrong = Machine("one", "One", "cpu", (Peak("fp32", -1.0, Standing("measured", "x", "2026")),), ())
    with pytest.raises(InputError, match="flops_per_second"):
        write_machine(wrong, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m.toml"]


def test_an_unwritable_place_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_machine(MACHINE, tmp_path / "file" / "m.toml")
    (tmp_path / "m.toml").mkdir()
    (tmp_path / "m.toml" / "inside").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_machine(MACHINE, tmp_path / "m.toml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "m.toml"]
