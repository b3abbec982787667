"""Random graphs, all rules on: never a wrong answer, never an endless run, never an invalid model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, seed, settings
from onnx import numpy_helper

from rooftune.graph.load import load_proto
from rooftune.machine.devices import find_machine
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from rooftune.rewrite.price import Target
from tests.rewrite.random_graphs import graphs
from tests.rewrite.running import evaluate, plain_session

TARGET = Target(find_machine("raspberry-pi-5"), 4, "onnxruntime")
ULP = 2.0**-23


def _run(model: Any, feed: dict[str, Any]) -> list[Any]:
    content = (
        model.SerializeToString() if isinstance(model, onnx.ModelProto) else ir.to_proto(model).SerializeToString()
    )
    return list(plain_session(content).run(None, feed))


def _error(expected: Any, answer: Any) -> float:
    assert expected.shape == answer.shape and expected.dtype == answer.dtype
    scale = np.abs(expected).max(initial=0.0)
    worst = np.abs(expected - answer).max(initial=0.0)
    return 0.0 if worst == 0 else float(worst / scale) if scale > 0 else float("inf")


def _last_bits(array: Any, random: np.random.Generator) -> Any:
    return (array * (1 + ULP * random.choice([-1, 1], array.shape))).astype(array.dtype)


def _nudged(proto: onnx.ModelProto, random: np.random.Generator) -> onnx.ModelProto:
    """The model with the last bits of its weights changed; scalars stay, as an exponent of 2 must be 2."""
    copy = onnx.ModelProto.FromString(proto.SerializeToString())
    for tensor in copy.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims:
            tensor.raw_data = _last_bits(numpy_helper.to_array(tensor), random).tobytes()
    return copy


def holds(proto: onnx.ModelProto) -> None:
    """Rewrite a model with every rule there is and compare.

    What a change of inputs and weights by one unit in the last place does to an output shows how much rounding is
    worth there: where a graph cancels, another order of the same operations may differ by some of those.
    """
    random = np.random.default_rng(5)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in proto.graph.input}
    feed = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    expected = _run(proto, feed)
    if not all(np.isfinite(e).all() for e in expected):
        return
    model = load_proto(onnx.ModelProto.FromString(proto.SerializeToString()))
    found = rewrite(model, tuple(all_steps().values()), target=TARGET, evaluate=evaluate)
    assert not found.journal.notes
    rewritten = ir.to_proto(found.model.ir)
    onnx.checker.check_model(rewritten, full_check=True)
    assert [o.name for o in rewritten.graph.output] == [o.name for o in proto.graph.output]
    answers = _run(rewritten, feed)
    moved = _run(_nudged(proto, random), {n: _last_bits(a, random) for n, a in feed.items()})
    rules = [a.rule for a in found.journal.applied]
    for name, e, a, m in zip(found.model.outputs, expected, answers, moved, strict=True):
        allowed = max(found.exactness.tolerance, 100 * _error(e, m)) if found.exactness.tolerance else 0.0
        assert _error(e, a) <= allowed, f"{name} is off by {_error(e, a):.2g} after {rules}"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs(proto: onnx.ModelProto) -> None:
    holds(proto)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_random_graphs(part: int) -> None:
    @seed(part)
    @settings(max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(graphs(most=20))
    def sweep(proto: onnx.ModelProto) -> None:
        holds(proto)

    sweep()
