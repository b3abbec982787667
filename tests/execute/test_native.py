"""Our own compiler as a backend: what every backend must do, on models it compiles and on those it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from rooftune.compiler.target import host_target
from rooftune.execute.backend import Candidate
from rooftune.execute.backends.native import BACKEND, Elsewhere, NativeModel
from rooftune.execute.inputs import random_inputs
from rooftune.execute.open_sizes import OpenSizesModel
from rooftune.graph.load import load
from rooftune.graph.text import model_of_text

from . import models
from .conformance import BackendConformance, error, on_reference

needs_kernels = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


class TestNative(BackendConformance):
    backend_name = "native"


@needs_kernels
def test_it_refuses_only_models_of_which_nothing_would_run_natively(conv_net: Path, open_conv_net: Path) -> None:
    assert BACKEND.refuses(load(conv_net)) is None
    assert BACKEND.refuses(load(open_conv_net)) is None, "nobody knows before it is asked for some sizes"
    refused = BACKEND.refuses(model_of_text("(int64[4] x) => (int64[4] y) { y = Add(x, x) }"))
    assert refused is not None and "Add" in refused.reason and refused.at


def test_it_refuses_everything_where_there_are_no_kernels(conv_net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rooftune.compiler.target.host_target", lambda *_, **__: None)
    refused = BACKEND.refuses(load(conv_net))
    assert refused is not None and "no kernels for this processor" in refused.reason


@needs_kernels
def test_what_is_loaded_says_what_runs_natively(conv_net: Path, open_conv_net: Path, tmp_path: Path) -> None:
    whole = BACKEND.load(conv_net, Candidate("native", {}, 1))
    assert isinstance(whole, NativeModel) and whole.memory_bytes > 0
    assert whole.shares.to_json() == {"native_share": {"nodes": 1.0, "time": 1.0}, "refused": [], "cuts": []}
    whole.close()
    opened = BACKEND.load(open_conv_net, Candidate("native", {}, 1))
    assert isinstance(opened, OpenSizesModel) and "N" in opened.shares.refused[0].reason
    opened.close()
    bound = BACKEND.load(open_conv_net, Candidate("native", {}, 1), {"image": (2, 3, 32, 32)})
    assert isinstance(bound, NativeModel) and bound.inputs["image"].shape == (2, 3, 32, 32)
    bound.close()
    nothing = BACKEND.load(models.sums(tmp_path / "sums.onnx", TensorProto.INT32), Candidate("native", {}, 1))
    assert isinstance(nothing, Elsewhere) and {r.op for r in nothing.shares.refused} == {"Add"}
    assert nothing.shares.to_json()["native_share"] == {"nodes": 0.0, "time": 0.0}
    nothing.close()


@needs_kernels
@pytest.mark.parametrize("isa", ["avx512", "avx2", "sse", "neon"])
def test_narrower_instruction_sets_agree(isa: str, conv_net: Path) -> None:
    if host_target(isa) is None:
        pytest.skip("this processor has another instruction set")
    model = BACKEND.load(conv_net, Candidate("native", {"isa": isa}, 2))
    inputs = random_inputs(model.inputs)
    assert error(model.run(inputs), on_reference(conv_net, inputs)) <= 1e-5
    assert isinstance(model, NativeModel)
    model.close()


@needs_kernels
def test_packing_and_unpacking_count_for_those_they_are_done_for(conv_net: Path) -> None:
    model = BACKEND.load(conv_net, Candidate("native", {}, 1))
    profile = model.profile(random_inputs(model.inputs), 4)
    model.close()
    by_type = {kernel.type: kernel for kernel in profile.kernels}
    assert by_type["pack"].how == by_type["unpack"].how == "layout"
    names = [node.name for node in load(conv_net).nodes]
    assert names[0] in by_type["pack"].source_nodes and names[-1] in by_type["unpack"].source_nodes
    assert profile.attributed_share == pytest.approx(1.0)
    assert np.isfinite(profile.model_seconds)
