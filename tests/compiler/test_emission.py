"""Code for processors that are not here, and functions of vectors that are written out."""

from __future__ import annotations

import numpy as np
import pytest

from rooftune.compiler.emit.mathematics import EXPONENTIAL_ERROR, exponential
from rooftune.compiler.emit.work import begin
from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import emit_assembly, emit_object
from rooftune.compiler.program import build
from rooftune.compiler.target import target_for
from rooftune.graph.text import model_of_text

from .running import TARGETS, apply_kernel

NETWORK = """(float[1,3,16,16] x) => (float[1,5] y) <float[24,3,3,3] a, float[24,24,3,3] b, float[5,24] w>
    { c = Conv<pads=[1,1,1,1]>(x, a) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, b) s = Sigmoid(d)
      m = GlobalAveragePool(s) f = Flatten(m) y = Gemm<transB=1>(f, w) }"""


def test_arm_processors_get_their_own_code() -> None:
    target = target_for("neon")
    lowered = lower(model_of_text(NETWORK))
    assert isinstance(lowered, Lowered)
    program = build(lowered, target)
    text = program.text(program.pack()[1])
    triple = "aarch64-unknown-linux-gnu"
    assembly = emit_assembly(text, triple, target.features)
    assert "fmla\tv" in assembly and "yield" in assembly and "pause" not in assembly
    assert emit_object(text, triple, target.features)[:4] == b"\x7fELF"


@pytest.mark.parametrize("isa", list(TARGETS))
def test_the_exponential_is_as_exact_as_it_says(isa: str) -> None:
    target = TARGETS[isa]
    code, at = begin("test", ["x", "y"], target)
    count = 1 << 16
    with code.loop(0, count, target.lanes) as place:
        code.store(exponential(code, code.load(at["x"], place)), at["y"], place)
    x = np.linspace(-87, 88, count, dtype=np.float32)
    y = np.empty_like(x)
    apply_kernel(code, target, x, y)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(exact.astype(np.float32))).max() <= EXPONENTIAL_ERROR
    x[:4] = [np.nan, -np.inf, np.inf, 0]
    apply_kernel(code, target, x, y)
    assert np.isnan(y[0]) and y[1] < 1e-37 and y[2] > 1e38 and y[3] == 1
