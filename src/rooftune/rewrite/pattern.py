"""Patterns of rules, written as nested operators: `BatchNormalization(conv=Conv(x, w!, b?), scale!, ...)`.

    x           any value; the same name twice must be the same value
    $c          a constant; elsewhere the rule does not speak
    c!          should be a constant; elsewhere the rule refuses and says so
    b?          may be absent (also `$b?`, `b!?`)
    _           any value or none, of no interest
    ...         further inputs of any number
    Relu|Clip   one of several operators
    conv=Conv() the node gets a name
    &Conv()     its output may have other readers; without, the rule refuses where it has

Arguments of Add, Mul, Max, Min and of the logical operators match in either order when there are two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["COMMUTATIVE", "Operation", "Pattern", "Variable", "parse_pattern"]

COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "Sum"})

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_][\w.]*|[=()|,$!?&])")


@dataclass(frozen=True)
class Variable:
    """A value of the graph that a rule speaks of. `name` is empty for one of no interest."""

    name: str
    constant: bool = False
    wanted_constant: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Operation:
    """A node with one of the operators `ops` (domain before the last dot) whose inputs match the arguments."""

    ops: tuple[tuple[str, str], ...]
    arguments: tuple[Pattern, ...]
    name: str = ""
    shared: bool = False
    open_end: bool = False

    @property
    def commutes(self) -> bool:
        return len(self.arguments) == 2 and all(op in COMMUTATIVE for _, op in self.ops)


Pattern = Variable | Operation


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Operation:
    """Read a pattern; ValueError where it cannot be read."""
    tokens = list(_tokens(text))
    found, rest = _operation(tokens, text)
    if rest:
        raise ValueError(f"the pattern {text!r} goes on behind its end: {' '.join(rest)}")
    return found


def _tokens(text: str) -> Iterator[str]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot read the pattern {text!r} at {text[position:]!r}")
        yield match.group(1)
        position = match.end()


def _operation(tokens: list[str], text: str) -> tuple[Operation, list[str]]:
    found, rest = _pattern(tokens, text)
    if not isinstance(found, Operation):
        raise ValueError(f"the pattern {text!r} names no operator")
    return found, rest


def _pattern(tokens: list[str], text: str) -> tuple[Pattern, list[str]]:
    shared = tokens[0] == "&"
    tokens = tokens[1:] if shared else tokens
    name = ""
    if len(tokens) > 1 and tokens[1] == "=":
        name, tokens = tokens[0], tokens[2:]
    if tokens[:1] == ["&"]:
        shared, tokens = True, tokens[1:]
    if tokens[0] == "$" or len(tokens) == 1 or tokens[1] not in ("(", "|"):
        return _variable(tokens)
    ops = [_identifier(tokens[0])]
    tokens = tokens[1:]
    while tokens[0] == "|":
        ops.append(_identifier(tokens[1]))
        tokens = tokens[2:]
    if tokens[0] != "(":
        raise ValueError(f"expected ( behind {ops[-1][1]} in the pattern {text!r}")
    arguments: list[Pattern] = []
    open_end = False
    tokens = tokens[1:]
    while tokens and tokens[0] != ")":
        if tokens[0] == "...":
            open_end, tokens = True, tokens[1:]
        else:
            argument, tokens = _pattern(tokens, text)
            arguments.append(argument)
        if tokens[:1] == [","]:
            tokens = tokens[1:]
    if not tokens:
        raise ValueError(f"a bracket is not closed in the pattern {text!r}")
    return Operation(tuple(ops), tuple(arguments), name, shared, open_end), tokens[1:]


def _variable(tokens: list[str]) -> tuple[Variable, list[str]]:
    constant = tokens[0] == "$"
    tokens = tokens[1:] if constant else tokens
    name, tokens = tokens[0], tokens[1:]
    wanted = tokens[:1] == ["!"]
    tokens = tokens[1:] if wanted else tokens
    optional = tokens[:1] == ["?"]
    tokens = tokens[1:] if optional else tokens
    if name == "_":
        return Variable("", optional=True), tokens
    return Variable(name, constant, wanted, optional), tokens


def _identifier(text: str) -> tuple[str, str]:
    domain, _, op = text.rpartition(".")
    return domain, op
