"""Reading a node back from the line it is written as: `y, z = Conv<group=2>(x, #64x3x7x7)`.

Names in a model may hold anything. A line that could be read in two ways is not read: its change is shown as text
and has no picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["NodeLine", "read_line"]

_NAME = r"[^\s,()]+"
_LINE = re.compile(
    rf"(?P<outputs>(?:{_NAME}(?:, {_NAME})*)?) = (?P<op>[A-Za-z_][\w.-]*)(?:<.*>)?\((?P<inputs>[^()]*)\)", re.DOTALL
)
_LONGEST = 20_000


@dataclass(frozen=True)
class NodeLine:
    """A node's operator, the values it reads and makes, and its constants as they are written (`#64x3x7x7`)."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[str, ...]


def read_line(line: str) -> NodeLine | None:
    """The node of a line; None where the line is none or its names make it ambiguous."""
    found = _LINE.fullmatch(line) if len(line) <= _LONGEST else None
    if found is None:
        return None
    inputs = found["inputs"].split(", ") if found["inputs"] else []
    if any(re.search(r"[\s,]", name) for name in inputs):
        return None
    return NodeLine(
        op=found["op"],
        inputs=tuple(name for name in inputs if name and not name.startswith("#")),
        outputs=tuple(found["outputs"].split(", ")) if found["outputs"] else (),
        constants=tuple(name for name in inputs if name.startswith("#")),
    )
