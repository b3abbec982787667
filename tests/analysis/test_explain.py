"""The ledger: it always sums to the whole, whatever was measured, and puts time where it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.analysis.analyze import Analysis, analyze
from rooftune.analysis.explain import CAUSES, Explanation, explain
from rooftune.graph.load import load
from tests.analysis.graphs import machine, write_model

TEXT = """
<ir_version: 9, opset_import: ["" : 17]>
net (float[1,16,32,32] x) => (float[1,24,32,32] y)
<float[24,16,3,3] w, float[24] b>
{
  a = Conv <pads = [1,1,1,1]> (x, w, b)
  r = Relu (a)
  s = Sigmoid (r)
  y = Mul (r, s)
}
"""


@dataclass(frozen=True)
class Measured:
    name: str
    type: str
    seconds: float
    source_nodes: tuple[str, ...]
    how: str = "tensors"
    arithmetic: float = 1.0


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return _analysis(tmp_path_factory.mktemp("explain"))


def _analysis(folder: Path) -> Analysis:
    path = write_model(TEXT, folder / "net.onnx")
    return analyze(load(path), machine(), threads=1)


def run(analysis: Analysis, measured: list[Measured], seconds: float) -> Explanation:
    return explain(analysis, {}, measured, seconds, machine())


def test_a_kernel_at_its_roof_is_all_roof(analysis: Analysis) -> None:
    (group,) = [g for g in analysis.groups if g.op == "Conv+Relu"]
    assert isinstance(group.roof_seconds, float)
    found = run(analysis, [Measured("k", "Conv", group.roof_seconds, group.nodes)], group.roof_seconds)
    assert found.operators[0].ledger["roof"] > 0.9
    assert found.operators[0].cause.startswith("at the roof")


def test_an_algorithm_with_less_arithmetic_has_a_lower_roof(analysis: Analysis) -> None:
    (group,) = [g for g in analysis.groups if g.op == "Conv+Relu"]
    assert isinstance(group.roof_seconds, float)
    seconds = group.roof_seconds / 2
    written, winograd = (
        run(analysis, [Measured("k", "Conv", seconds, group.nodes, arithmetic=part)], seconds).operators[0]
        for part in (1.0, 0.3)
    )
    assert written.share_of_roof is not None and written.share_of_roof > 1.5, "faster than its own formula allows"
    assert winograd.share_of_roof is not None and 0.5 < winograd.share_of_roof <= 1
    assert winograd.flops == written.flops
    assert winograd.executed_flops == pytest.approx(0.3 * (written.executed_flops or 0))


def test_a_slow_convolution_lacks_utilisation(analysis: Analysis) -> None:
    (group,) = [g for g in analysis.groups if g.op == "Conv+Relu"]
    assert isinstance(group.roof_seconds, float)
    found = run(analysis, [Measured("k", "Conv", 10 * group.roof_seconds, group.nodes)], 10 * group.roof_seconds)
    ledger = found.operators[0].ledger
    assert max(ledger, key=lambda c: ledger[c]) == "utilisation"


def test_a_reorder_is_traffic_and_an_orphan_residual(analysis: Analysis) -> None:
    found = run(
        analysis,
        [Measured("reorder", "Reorder", 1e-4, ("conv0",), "layout"), Measured("odd", "Mystery", 1e-4, ())],
        2e-4,
    )
    assert found.ledger["traffic"] == pytest.approx(0.5)
    assert found.ledger["residual"] == pytest.approx(0.5)
    assert found.attributed_share == pytest.approx(0.5)


def test_time_between_the_kernels_is_dispatch(analysis: Analysis) -> None:
    found = run(analysis, [Measured("k", "Conv", 1e-4, ("conv0", "relu1"))], 4e-4)
    assert found.ledger["dispatch"] >= 0.75
    assert found.residual_seconds == pytest.approx(3e-4)


def test_an_unfused_activation_is_named_as_such(analysis: Analysis) -> None:
    measured = [
        Measured("conv", "Conv", 1e-3, ("conv0", "relu1")),
        Measured("sigmoid", "Sigmoid", 1e-4, ("sigmoid2",)),
        Measured("mul", "Mul", 1e-4, ("mul3",)),
    ]
    found = run(analysis, measured, 1.2e-3)
    assert found.ledger["unfused"] > 0
    by_name = {o.name: o for o in found.operators}
    # fused they would be one pass over the map: the bound belongs to one of the two, the other should not be there
    assert by_name["mul3"].ledger["roof"] == 0.0
    assert by_name["sigmoid2"].ledger["roof"] > 0.0


def test_one_node_run_as_two_kernels_is_counted_once(analysis: Analysis) -> None:
    nodes = ("conv0", "relu1")
    whole = run(analysis, [Measured("a", "Conv", 2e-3, nodes)], 2e-3)
    halves = run(analysis, [Measured("a", "Conv", 1e-3, nodes), Measured("b", "Conv", 1e-3, nodes)], 2e-3)
    assert halves.ledger["roof"] == pytest.approx(whole.ledger["roof"])
    assert sum(o.executed_flops or 0 for o in halves.operators) == pytest.approx(whole.operators[0].executed_flops)


_TIMES = st.floats(0, 1e-2)
_NODES = st.lists(st.sampled_from(["conv0", "relu1", "sigmoid2", "mul3", "nobody"]), max_size=4, unique=True)


@given(
    st.lists(st.tuples(_TIMES, _NODES, st.sampled_from(["tensors", "layout", ""])), max_size=6), st.floats(1e-6, 1e-1)
)
@settings(max_examples=150, deadline=None)
def test_the_ledger_always_sums_to_everything(rows: list[tuple[float, list[str], str]], seconds: float) -> None:
    global _kept
    if _kept is None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _kept = _analysis(Path(folder))
    measured = [Measured(f"k{i}", "Kernel", s, tuple(nodes), how) for i, (s, nodes, how) in enumerate(rows)]
    found = run(_kept, measured, seconds)
    for ledger in [found.ledger, *(o.ledger for o in found.operators)]:
        assert set(ledger) == set(CAUSES)
        assert sum(ledger.values()) == pytest.approx(1.0, abs=1e-9)
        assert all(share >= 0 for share in ledger.values())


_kept: Analysis | None = None
