"""Every model of the ONNX backend suite gives the same answers after rewriting with all rules on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.machine.devices import find_machine
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from rooftune.rewrite.price import Target
from rooftune.verdicts import Exactness
from tests.rewrite.running import evaluate, plain_session

PARTS = 6
RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
LEAST_RUN = {"node": 1300, "simple": 10, "pytorch-converted": 55, "pytorch-operator": 20}
"""How many models run at least: a sweep that runs none must not pass."""


def _cases(kind: str) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes its overflow cases on purpose
        return list(load_model_tests(kind=kind))


def _inputs(case: Any) -> list[Any] | None:
    """The arrays of the first data set, None where one is no tensor."""
    if case.model is not None:
        given = case.data_sets[0][0]
    else:
        files = sorted((Path(case.model_dir) / "test_data_set_0").glob("input_*.pb"), key=lambda p: int(p.stem[6:]))
        given = []
        for file in files:
            tensor = onnx.TensorProto()
            tensor.ParseFromString(file.read_bytes())
            given.append(tensor)
    arrays = [numpy_helper.to_array(g) if isinstance(g, onnx.TensorProto) else g for g in given]
    return arrays if all(isinstance(a, np.ndarray) for a in arrays) else None


def _answers(model: ir.Model, arrays: list[Any]) -> list[Any] | None:
    """What ONNX Runtime gives; None where it cannot run the model."""
    try:
        session = plain_session(ir.to_proto(model).SerializeToString())
        return session.run(None, dict(zip([i.name for i in session.get_inputs()], arrays, strict=False)))
    except Exception:  # the engine's exceptions have no common type
        return None


def _same(expected: Any, answer: Any, exactness: Exactness) -> bool:
    if isinstance(expected, list):
        return len(expected) == len(answer) and all(_same(a, b, exactness) for a, b in zip(expected, answer))
    if expected is None or isinstance(expected, str | bytes):
        return bool(expected == answer)
    a, b = np.asarray(expected), np.asarray(answer)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind not in "fV" or exactness is Exactness.BITWISE:
        return (
            bool((a == b).all())
            if a.dtype.kind in "OSUV"
            else bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
        )
    wide, other = a.astype(np.float64), b.astype(np.float64)
    odd = ~np.isfinite(wide)
    if not np.array_equal(wide[odd], other[odd], equal_nan=True):
        return False
    scale = np.abs(wide[~odd]).max(initial=0.0)
    return bool(np.abs(wide[~odd] - other[~odd]).max(initial=0.0) <= exactness.tolerance_for(a.dtype.name) * scale)


def _check(name: str, model: Model, case: Any) -> tuple[bool, str]:
    """Whether it ran, and what is wrong."""
    target = Target(find_machine("raspberry-pi-5"), 4, "onnxruntime")
    found = rewrite(model, tuple(all_steps().values()), target=target, evaluate=evaluate)
    if list(found.model.inputs) != list(model.inputs) or list(found.model.outputs) != list(model.outputs):
        return True, f"{name}: inputs or outputs have other names"
    if any(node.op_type in RANDOM for node in model.ir.graph.all_nodes()):
        return False, ""
    arrays = _inputs(case)
    expected = None if arrays is None else _answers(model.ir, arrays)
    if arrays is None or expected is None:
        return False, ""
    answers = _answers(found.model.ir, arrays)
    rules = sorted({a.rule for a in found.journal.applied})
    if answers is None:
        return True, f"{name}: does not run any more after {rules}"
    wrong = [o for o, a, b in zip(model.outputs, expected, answers) if not _same(a, b, found.exactness)]
    return True, f"{name}: {wrong} differ after {rules}" if wrong else ""


def _sweep(cases: Iterator[Any] | list[Any]) -> tuple[int, list[str]]:
    ran, wrong = 0, []
    for case in cases:
        model = load_proto(case.model) if case.model else load(Path(case.model_dir) / "model.onnx")
        done, problem = _check(case.name, model, case)
        ran += done
        wrong += [problem] if problem else []
    return ran, wrong


@pytest.mark.parametrize("part", range(PARTS))
def test_node_models(part: int) -> None:
    ran, wrong = _sweep(_cases("node")[part::PARTS])
    assert not wrong
    assert ran >= LEAST_RUN["node"] // PARTS - 50


@pytest.mark.parametrize("kind", ["simple", "pytorch-converted", "pytorch-operator"])
def test_small_models(kind: str) -> None:
    ran, wrong = _sweep(_cases(kind))
    assert not wrong
    assert ran >= LEAST_RUN[kind]
