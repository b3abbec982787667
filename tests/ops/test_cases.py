"""Every operator file ends with cases worked out by hand; this is the one harness that runs them all."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rooftune.ops import Case, Operator, Work, known_operators
from rooftune.quantities import Unknown, symbol

CASES = [(op, case) for op in known_operators() for case in op.cases]


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, str):
        import sympy

        names = {name: symbol(name) for name in re.findall(r"\b[A-Za-z_]\w*\b(?!\()", expected)}
        return bool(sympy.simplify(found - sympy.sympify(expected, locals=names)) == 0)
    if isinstance(expected, Unknown):
        return isinstance(found, Unknown)
    return bool(found == expected)


@pytest.mark.parametrize(("op", "case"), CASES, ids=[f"{op.domain}:{op.name}-{i}" for i, (op, _) in enumerate(CASES)])
def test_case(op: Operator, case: Case) -> None:
    work = op.work(case.attributes, case.inputs, case.outputs)
    if isinstance(case.flops, Unknown):
        assert isinstance(work, Unknown)
        return
    assert isinstance(work, Work), work
    for name in ("flops", "macs", "padding_macs", "bytes_read", "bytes_written"):
        expected = getattr(case, name)
        if expected is not None:
            assert same(getattr(work, name), expected), (name, getattr(work, name), expected)
    if case.elementwise is not None:
        assert {k: v for k, v in work.elementwise.items() if v != 0} == dict(case.elementwise)


@pytest.mark.parametrize("op", known_operators(), ids=lambda op: f"{op.domain}:{op.name}")
def test_every_operator_has_two_cases(op: Operator) -> None:
    assert len(op.cases) >= 2, "a formula is only known once it has been worked out by hand, twice"
