"""What stages are priced by: nodes predicted natively and in ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rooftune.compiler.target import host_target
from rooftune.execute import stage_seconds
from rooftune.execute.stage_seconds import StageSeconds, copy_rate, machine_or_guess
from rooftune.graph.text import model_of_text
from rooftune.machine.devices import find_machine
from rooftune.machine.spec import Machine

MACHINE = find_machine("intel-xeon-platinum-8480plus")

TEXT = """(float[1,64,56,56] x) => (float[1,64,28,28] y, float[1,64,56,56] z)
    <float[64,64,3,3] v, float[64,64,3,3] w, float[64] k>
    { a = Conv<pads=[1,1,1,1]>(x, v) b = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) y = Relu(b)
      c = Asinh(a) n = Neg(k) s = Shape(c) z = Odd.strange(c) }"""


@pytest.fixture(scope="module")
def seconds() -> StageSeconds:
    model = model_of_text(TEXT.replace("Odd.strange", "com.microsoft.Nothing"))
    return StageSeconds.of(model, MACHINE, 2)


def named(seconds: StageSeconds, op: str, *, native: bool) -> float | None:
    nodes = [name for name in seconds.elsewhere if name.startswith(f"{op}_")]
    assert nodes, seconds.elsewhere
    return seconds(nodes[:1], native)


def test_winograds_convolutions_take_half_as_long(seconds: StageSeconds) -> None:
    plain = [name for name in seconds.elsewhere if name.startswith("Conv_")]
    quick, strided = (seconds([name], False) / seconds([name], True) for name in plain)  # type: ignore[operator]
    assert quick > 1.5 and 1 < strided < quick


def test_no_kernel_has_to_be_started(seconds: StageSeconds) -> None:
    there, here = named(seconds, "Asinh", native=False), named(seconds, "Asinh", native=True)
    assert there is not None and here is not None and 0 < here < there


def test_what_nobody_knows_is_unknown_and_what_is_folded_is_free(seconds: StageSeconds) -> None:
    assert named(seconds, "Nothing", native=False) is None
    assert seconds([*seconds.elsewhere], True) is None
    assert seconds(["Neg_4"], False) == 0.0


def test_a_computer_that_was_never_measured_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    target = host_target()
    if target is None:
        pytest.skip("no kernels for this processor")
    monkeypatch.setattr(stage_seconds, "stored_machine", lambda quick: None)
    guess = machine_or_guess(target)
    assert guess.peak("fp32", 2) == 2 * guess.peak("fp32", 1)
    assert copy_rate(guess, 2) > 1e9
    found = StageSeconds.of(model_of_text("(float[4,8] x) => (float[4,8] y) { y = Asinh(x) }"), guess, 1)
    assert found(found.elsewhere, True) is not None
    monkeypatch.setattr(stage_seconds, "stored_machine", lambda quick: MACHINE)
    assert machine_or_guess(target) is MACHINE


def test_the_rate_of_copies_is_the_machines() -> None:
    assert isinstance(MACHINE, Machine)
    assert copy_rate(replace(MACHINE, levels=()), 1) > 1e9
