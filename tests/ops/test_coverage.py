"""At least 95 % of the operators of the default ONNX domain have a formula."""

from __future__ import annotations

import onnx.defs

from rooftune.ops import find

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
"""Their work is that of their bodies, which the analysis walks."""


def test_default_domain_is_covered() -> None:
    operators = {s.name for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated}
    missing = sorted(name for name in operators - CONTROL_FLOW if find("", name) is None)
    assert len(missing) <= 0.05 * len(operators), f"{len(missing)} of {len(operators)} without a formula: {missing}"


def test_deprecated_names_are_no_excuse() -> None:
    """Operators of old opsets still stand in old models; the ones that were only renamed are known as well."""
    assert find("", "Scatter") is not None
    assert find("", "Upsample") is not None
