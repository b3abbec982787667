"""What a rule does and did, and what the rules say to a node."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from rooftune.errors import InputError
from rooftune.graph.text import node_line
from rooftune.pipeline.rewrite import RewriteOutcome
from rooftune.rewrite.match import label_of
from rooftune.rewrite.order import ORDER, Step, all_steps
from rooftune.rewrite.rule import Rule

__all__ = ["explained", "rule_facts", "rule_text", "rule_use"]


def rule_facts(step: Step) -> dict[str, Any]:
    """A rule as JSON values."""
    return {
        "name": step.name,
        "title": step.title,
        "description": inspect.cleandoc(type(step).__doc__ or ""),
        "exactness": step.exactness.value,
        "default": step.name in ORDER,
        "must_pay": isinstance(step, Rule) and step.must_pay,
        "since": step.since if isinstance(step, Rule) else 0,
        "examples": [
            {"name": e.name, "before": e.before, "after": e.after, "refused": e.refused} for e in step.examples
        ],
    }


def rule_use(step: Step) -> str:
    """When the rule is used, in a few words."""
    if step.name not in ORDER:
        return "on request"
    return "where it pays" if isinstance(step, Rule) and step.must_pay else "by default"


def rule_text(step: Step) -> list[str]:
    """A rule for people, with its examples."""
    since = f", from opset {step.since}" if isinstance(step, Rule) and step.since else ""
    lines = [f"{step.name} ({step.exactness.value}, {rule_use(step)}{since})", "", *_paragraphs(step)]
    for example in step.examples:
        lines += ["", f"  {example.name}:"]
        lines += [f"    {line.strip()}" for line in example.before.strip().splitlines()]
        lines += [f"    refused: {example.refused}"] if example.refused else ["    becomes"]
        lines += [f"      {line.strip()}" for line in example.after.strip().splitlines()]
    return lines


def _paragraphs(step: Step) -> list[str]:
    """The rule's description, each paragraph in one line."""
    blocks = inspect.cleandoc(type(step).__doc__ or "").split("\n\n")
    return [line for block in blocks for line in (" ".join(block.split()), "")][:-1]


def explained(outcome: RewriteOutcome, about: str) -> list[str]:
    """Lines on one rule or one node; InputError where neither has that name."""
    if about in all_steps():
        return [*rule_text(all_steps()[about]), "", *_deeds(outcome, about)]
    lines = list(_on_node(outcome, about))
    if not lines:
        raise InputError(
            f"neither a rule nor a node is called {about!r}", "`rooftune rules` lists rules, `rooftune analyze` nodes"
        )
    return lines


def _deeds(outcome: RewriteOutcome, rule: str) -> Iterator[str]:
    applied = [a for a in outcome.rewritten.journal.applied if a.rule == rule]
    refused = [r for r in outcome.rewritten.journal.refused if r.rule == rule]
    yield f"here: applied {_times(len(applied))}, refused {_times(len(refused))}"
    for entry in applied:
        yield f"  {entry.node}"
        yield from (f"    - {line}" for line in entry.before)
        yield from (f"    + {line}" for line in entry.after)
    for no in refused:
        yield f"  refused at {no.node}: {no.reason}"


def _times(count: int) -> str:
    return "never" if count == 0 else "once" if count == 1 else f"{count:,} times"


def _on_node(outcome: RewriteOutcome, name: str) -> Iterator[str]:
    journal = outcome.rewritten.journal
    for entry in journal.applied:
        if name in (entry.node, *entry.removed, *entry.added):
            yield f"{entry.rule} at {entry.node}"
            yield from (f"    - {line}" for line in entry.before)
            yield from (f"    + {line}" for line in entry.after)
    for no in journal.refused:
        if no.node == name:
            yield f"{no.rule} refused: {no.reason}"
    for node in outcome.rewritten.model.ir.graph.all_nodes():
        if label_of(node) == name:
            yield f"now: {node_line(node)}"
            looking = [
                s for s in all_steps().values() if isinstance(s, Rule) and (node.domain, node.op_type) in s.roots
            ]
            yield f"rules that look at {node.op_type}: {', '.join(s.name for s in looking) or 'none'}"
