"""Bad input: one line on standard error with cause and remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from .. import models
from .running import InProcess, names, shell

MACHINE = ("--machine", "intel-xeon-platinum-8480plus")
QUICK = ("-o", "new", "--budget", "1s", "--backends", "onnxruntime", "--threads", "1")


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tests run in a folder of their own, in which nothing may be left behind."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def save(proto: onnx.ModelProto, name: str = "bad.onnx") -> str:
    Path(name).write_bytes(proto.SerializeToString())
    return name


def written(data: bytes) -> str:
    Path("bad.onnx").write_bytes(data)
    return "bad.onnx"


def changed(change: Callable[[onnx.ModelProto], object]) -> str:
    proto = models.dense()
    change(proto)
    return save(proto)


def truncated() -> str:
    data = models.dense().SerializeToString()
    return written(data[: len(data) // 2])


def external(location: str, data: bytes | None = None) -> str:
    if data is not None:
        Path(location).write_bytes(data)
    return changed(lambda m: models.refer(m.graph.initializer[0], location, length=768))


def symlinked() -> str:
    Path("link.bin").symlink_to("/etc/passwd")
    return external("link.bin")


def negative(m: onnx.ModelProto) -> None:
    m.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -3


def too_short(m: onnx.ModelProto) -> None:
    m.graph.initializer[0].raw_data = m.graph.initializer[0].raw_data[:-4]


def boundless(m: onnx.ModelProto) -> None:
    m.graph.initializer[0].dims[0] = 10**12


def another_operator(name: str) -> Callable[[onnx.ModelProto], None]:
    def change(m: onnx.ModelProto) -> None:
        m.graph.node[1].op_type = name

    return change


def dangling(m: onnx.ModelProto) -> None:
    m.graph.node[1].input[0] = "nowhere"


def cyclic(m: onnx.ModelProto) -> None:
    m.graph.node[0].input[0] = "y"


BAD_MODELS: dict[str, tuple[Callable[[], str], str]] = {
    "no such file": (lambda: "nothing.onnx", "no such file: nothing.onnx"),
    "a folder": (lambda: str(Path.cwd()), "is a folder"),
    "empty": (lambda: written(b""), "bad.onnx is empty"),
    "truncated": (truncated, "not a complete ONNX file"),
    "text": (lambda: written(b"hello, this is no model\n" * 20), "ONNX"),
    "zeros": (lambda: written(bytes(4096)), "ONNX"),
    "json": (lambda: written(b'{"graph": []}'), "ONNX"),
    "an operator of a later opset": (lambda: changed(another_operator("Gelu")), "Gelu"),
    "an operator of no opset": (lambda: changed(another_operator("Nonsense")), "Nonsense"),
    "a negative dimension": (lambda: changed(negative), "negative dimension -3"),
    "too few bytes": (lambda: changed(too_short), "764 bytes"),
    "a claim of 10**12 rows": (lambda: changed(boundless), "1000000000000x12"),
    "external data above the folder": (lambda: external("../secret.bin"), "leaves the model's folder"),
    "external data at an absolute path": (lambda: external("/etc/passwd"), "leaves the model's folder"),
    "external data behind a symlink": (symlinked, "out of the model's folder"),
    "external data too short": (lambda: external("short.bin", b"abc"), "short.bin, which has 3 bytes"),
    "a tensor nobody makes": (lambda: changed(dangling), "nowhere"),
    "a cycle": (lambda: changed(cyclic), "cycle"),
}


@pytest.mark.parametrize("what", BAD_MODELS)
def test_bad_models_are_refused_in_one_line(what: str, cli: InProcess) -> None:
    make, cause = BAD_MODELS[what]
    path = make()
    before = names(Path())
    for command in (("analyze", path, *MACHINE), ("optimize", path, *QUICK), ("profile", path)):
        ended = cli(*command)
        assert ended.code == 2
        assert ended.out == ""
        (line,) = ended.err.splitlines()
        assert line.startswith("rooftune: error: ")
        assert cause in line
        assert " — " in line, "a cause and a remedy"
        assert names(Path()) == before


BAD_ARGUMENTS: dict[str, str] = {
    # inputs
    "optimize ok.onnx --input name.npz": "'z', which is no input",
    "optimize ok.onnx --input rank.npz": "rank 3, expected 2",
    "optimize ok.onnx --input dtype.npz": "float64, expected float32",
    "optimize ok.onnx --input shape.npz": "3x16, expected 2x16",
    "optimize ok.onnx --input garbage.npz": "not a readable .npz",
    "optimize ok.onnx --input objects.npz": "Python objects",
    "optimize ok.onnx --input nothing.npz": "no file nothing.npz",
    "optimize ok.onnx --input foreign": "is a folder",
    "profile ok.onnx --input rank.npz": "rank 3, expected 2",
    # shapes
    "optimize open.onnx": "open dimensions: N",
    "profile open.onnx": "open dimensions: N",
    "optimize ok.onnx --shape x=3x16": "fixed at 2, not 3",
    "optimize ok.onnx --shape q=3x16": "no input 'q'",
    "optimize ok.onnx --shape x=-3x16": "negative",
    "optimize ok.onnx --shape x=3": "2 dimensions",
    "optimize ok.onnx --shape nonsense": "NAME=DIMS",
    "analyze ok.onnx --shape x=2xx16": "is no size",
    "optimize ok.onnx --batch 0": "batch is 0",
    "optimize ok.onnx --batch 3": "no open batch dimension",
    # output
    "optimize ok.onnx -o foreign": "no run folder",
    "optimize ok.onnx -o file": "not a folder",
    "optimize ok.onnx -o file/inside": "cannot write",
    "optimize ok.onnx -o /proc/new": "cannot write",
    "optimize ok.onnx -o . --force": "lies in it",
    "optimize foreign/ok.onnx -o foreign --force": "lies in it",
    "profile ok.onnx -o nowhere/record.json": "create the folder first",
    "profile ok.onnx -o foreign": "is a folder",
    "analyze ok.onnx --report nowhere/page.html": "create the folder first",
    "report foreign --html nowhere/page.html": "create the folder first",
    # options
    "optimize ok.onnx --threads 0": "no number of threads",
    "optimize ok.onnx --threads 100000": "more than the",
    "optimize ok.onnx --threads two": "--threads",
    "optimize ok.onnx --backends ,": "names none",
    "optimize ok.onnx --backends onnxruntime,nobody": "no backend is called 'nobody'",
    "optimize ok.onnx --objective fun": "'fun' is not known",
    "optimize ok.onnx --budget soon": "no length of time",
    "optimize ok.onnx --budget 0s": "no length of time",
    "optimize ok.onnx --seed -1": "--seed",
    "compile ok.onnx --tune soon": "--tune 'soon' is no length of time",
    "compile ok.onnx --tune 0": "or --tune off",
    "profile ok.onnx --backend nobody": "no backend is called 'nobody'",
    "profile ok.onnx --runs 0": "--runs",
    "analyze ok.onnx --machine zx81": "no machine is called 'zx81'",
    "analyze ok.onnx --machine garbage.toml": "no valid TOML",
    "analyze ok.onnx --machine nothing.toml": "nothing.toml",
    "analyze ok.onnx --machine apple-m1-gpu --groups nobody": "nobody",
    "analyze ok.onnx --machine apple-m1-gpu --format fp99": "fp99",
    "analyze ok.onnx --machine apple-m1-gpu --threads 0": "threads",
    "compare ok.onnx --machine apple-m1-gpu --threads -4": "threads",
    # records
    "report nothing": "no record at nothing",
    "report foreign": "no record at foreign",
    "report broken.json": "no readable record",
    "report list.json": "no record",
    "report future.json": "schema 99",
    "report ok.onnx": "no readable record",
    "compare ok.onnx broken.json": "found 1 record",
    "compare empty.json empty.json": "no measured ledger",
    "compare nothing.onnx": "no such file",
    "machine show zx81": "no machine is called 'zx81'",
    # usage
    "analyze": "Missing argument",
    "analyze ok.onnx --nonsense": "No such option",
    "analyze ok.onnx another": "unexpected extra argument",
    "optimise ok.onnx": "No such command",
    "machine nonsense": "No such command",
}


@pytest.fixture
def bad_files(work_folder: Path) -> None:
    save(models.dense(), "ok.onnx")
    save(models.dense("N"), "open.onnx")
    np.savez("name.npz", z=np.zeros((2, 16), np.float32))
    np.savez("rank.npz", x=np.zeros((2, 16, 1), np.float32))
    np.savez("dtype.npz", x=np.zeros((2, 16)))
    np.savez("shape.npz", x=np.zeros((3, 16), np.float32))
    np.savez("objects.npz", x=np.array([{}], dtype=object))
    Path("garbage.npz").write_text("no archive")
    Path("foreign").mkdir()
    Path("foreign/mine.txt").write_text("precious")
    save(models.dense(), "foreign/ok.onnx")
    Path("file").write_text("precious")
    Path("garbage.toml").write_text("this is = [no toml")
    Path("broken.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("future.json").write_text('{"schema": 99, "analysis": {}}')
    Path("empty.json").write_text('{"schema": 1, "analysis": {}}')


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize("line", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_in_one_line(line: str, cli: InProcess) -> None:
    before = sorted(str(p) for p in Path().rglob("*"))
    ended = cli(*line.split())
    assert ended.code == 2, ended.err
    assert ended.out == ""
    (said,) = ended.err.splitlines()
    assert said.startswith("rooftune: error: ")
    assert BAD_ARGUMENTS[line] in said
    assert " — " in said, "a cause and a remedy"
    assert sorted(str(p) for p in Path().rglob("*")) == before
    assert Path("foreign/mine.txt").read_text() == Path("file").read_text() == "precious"


def test_the_traceback_is_shown_with_debug_only(cli: InProcess) -> None:
    plain = shell("analyze", "nothing.onnx")
    assert plain.code == 2
    assert "Traceback" not in plain.err
    for line in (("--debug", "analyze", "nothing.onnx"), ("analyze", "nothing.onnx", "--debug")):
        debug = cli(*line)
        assert debug.code == 2
        assert "Traceback" in debug.err
        assert debug.err.splitlines()[-1] == plain.err.strip()


def test_a_claim_of_many_elements_allocates_nothing() -> None:
    path = changed(boundless)
    limited = f"ulimit -v 4000000; exec {sys.executable} -m rooftune analyze {path}"
    assert os.system(f"bash -c '{limited}' 2> said.txt") >> 8 == 2
    assert "1000000000000x12" in Path("said.txt").read_text()


def test_missing_external_data_stops_only_what_needs_it(cli: InProcess) -> None:
    path = external("gone.bin")
    analysed = cli("analyze", path, "--json", *MACHINE)
    assert analysed.code == 0
    assert analysed.json["totals"]["params"] == 16 * 12
    (warning,) = analysed.err.splitlines()
    assert "warning" in warning
    assert "gone.bin" in warning
    for command in (("optimize", path, *QUICK), ("profile", path)):
        ended = cli(*command)
        assert ended.code == 2
        assert "missing (w)" in ended.err.splitlines()[-1]
    assert not Path("new").exists()


def test_custom_operators_are_unknown_to_the_analysis(custom_operator: Path, cli: InProcess) -> None:
    found = cli("analyze", custom_operator, "--json", *MACHINE)
    assert found.code == 0
    assert [u["node"] for u in found.json["unknown"]] == ["stranger"]
    assert found.json["totals"]["coverage"] == 0.5
    stranger = next(n for n in found.json["nodes"] if n["name"] == "stranger")
    assert stranger["flops"] is None, "unknown is never zero"


@pytest.mark.parametrize("command", [("optimize", *QUICK), ("profile",)])
def test_custom_operators_cannot_be_run(
    custom_operator: Path, command: tuple[str, ...], cli: InProcess, host: object
) -> None:
    ended = cli(command[0], custom_operator, *command[1:])
    assert ended.code == 2
    assert ended.out == ""
    errors = [line for line in ended.err.splitlines() if not line.startswith("rooftune: running")]
    assert "Frobnicate" in errors[-1]
    assert "Traceback" not in ended.err
    assert names(Path()) == []


def test_open_dimensions_give_symbolic_totals(open_conv_net: Path, cli: InProcess) -> None:
    found = cli("analyze", open_conv_net, "--json", *MACHINE)
    assert found.code == 0
    totals = found.json["totals"]
    assert "N" in totals["macs"]
    assert "N" in totals["bytes"]["fused"]
    assert totals["roof_seconds"] is None
    assert totals["coverage"] == 1.0
    bound = cli("analyze", open_conv_net, "--json", "--batch", "3", *MACHINE).json["totals"]
    assert bound["macs"] == 3 * int(totals["macs"].removesuffix("*N"))
    assert bound["roof_seconds"] > 0


def test_a_name_cannot_colour_the_terminal(cli: InProcess) -> None:
    def hostile(m: onnx.ModelProto) -> None:
        m.graph.node[1].op_type = "Non\x1b[31msense\n"

    ended = cli("analyze", changed(hostile), *MACHINE)
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert len(ended.err.splitlines()) == 1


def test_inputs_an_engine_cannot_take_ask_for_real_ones(host: object, cli: InProcess) -> None:
    nodes = [onnx.helper.make_node("Reshape", ["x", "target"], ["y"], name="reshape")]
    inputs = [models.value("x", [2, 6]), models.value("target", [2], models.INT64)]
    path = save(models.model(nodes, inputs, [models.value("y", ["a", "b"])]))
    ended = cli("optimize", path, *QUICK)
    assert ended.code == 2
    line = ended.err.splitlines()[-1]
    assert "--input" in line
    assert "reshape" in line
    assert "[ONNXRuntimeError]" not in line
    assert names(Path()) == [path]
    np.savez("data.npz", x=np.arange(12, dtype=np.float32).reshape(2, 6), target=np.array([3, 4]))
    assert cli("optimize", path, *QUICK, "--input", "data.npz").code == 0


MISSING_ENGINE = "import sys\nsys.modules['openvino'] = None\n"


def test_a_missing_engine_ends_with_what_to_install(work_folder: Path) -> None:
    Path("shim").mkdir()
    Path("shim/sitecustomize.py").write_text(MISSING_ENGINE)
    save(models.dense(), "ok.onnx")
    environment = {"PYTHONPATH": str(work_folder / "shim")}
    ended = shell("optimize", "ok.onnx", "--backends", "openvino", "-o", "new", environment=environment)
    assert ended.code == 3
    (line,) = ended.err.splitlines()
    assert "pip install rooftune[openvino]" in line
    assert not Path("new").exists()
    looked = shell("doctor", "--json", environment=environment)
    assert looked.code == 0, "the main job can be done without it"
    engines = {f["what"]: f for f in looked.json["findings"]}
    assert engines["engine openvino"]["status"] == "missing"
    assert "pip install" in engines["engine openvino"]["remedy"]
