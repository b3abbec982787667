"""Every rule's examples: the graph afterwards, a valid model, and the same answers as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import ORDER, Step, all_steps
from rooftune.rewrite.rule import Example
from tests.rewrite.running import evaluate, random_feed, run_model, valid


def _examples() -> Iterator[object]:
    for step in all_steps().values():
        for example in step.examples:
            yield pytest.param(step, example, id=f"{step.name}: {example.name}")


@pytest.mark.parametrize(("step", "example"), list(_examples()))
def test_example(step: Step, example: Example, tmp_path: Path) -> None:
    before = model_of_text(example.before, opset=example.opset)
    found = rewrite(before, [step], evaluate=evaluate)
    lines = graph_lines(found.model)
    if example.refused:
        assert lines == graph_lines(before)
        reasons = [r.reason for r in found.journal.refused if r.rule == step.name]
        assert any(example.refused in reason for reason in reasons), reasons
        return
    assert lines == [line.strip() for line in example.after.strip().splitlines()]
    assert {a.rule for a in found.journal.applied} == {step.name}
    assert list(found.model.inputs) == list(before.inputs)
    assert list(found.model.outputs) == list(before.outputs)
    valid(found.model)
    for seed in (1, 2):
        feed = random_feed(before, seed)
        for name, (expected, answer) in run_model(before, found.model, feed, tmp_path).items():
            assert expected.dtype == answer.dtype and expected.shape == answer.shape
            scale = np.abs(expected.astype(np.float64)).max(initial=0.0)
            error = np.abs(expected.astype(np.float64) - answer.astype(np.float64)).max(initial=0.0)
            assert error <= step.exactness.tolerance * scale, f"{name}: {error / scale}"


def test_rules_speak_of_themselves() -> None:
    for name, step in all_steps().items():
        assert step.title.endswith("."), name
        assert step.examples, f"{name} has no example"
        if hasattr(step, "pattern"):
            assert any(not e.refused for e in step.examples), name


def test_order_names_existing_rules_once() -> None:
    assert len(set(ORDER)) == len(ORDER)
    assert set(ORDER) <= set(all_steps())
