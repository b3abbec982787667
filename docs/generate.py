"""Write the reference pages of docs/reference from the code: `python docs/generate.py`, `--check` to compare only."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperGroup

from rooftune.analysis.fusion import fusion_rules, known_backends
from rooftune.cli.app import app, collect_commands
from rooftune.compiler.emit.activation import ACTIVATIONS
from rooftune.compiler.lower import taken_operators
from rooftune.machine.devices import list_machines
from rooftune.machine.spec import Machine
from rooftune.ops import Operator, known_operators
from rooftune.pipeline.explain_rewrite import rule_use
from rooftune.quantities import Unknown, si
from rooftune.rewrite.order import Step, all_steps
from rooftune.rewrite.rule import Example, Rule
from rooftune.verdicts import Exactness

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- written by docs/generate.py; change the code, not this page -->\n"


def operators_page() -> str:
    """Every operator with a formula: its sentence and its cases."""
    lines = [
        NOTE,
        "# Operators\n",
        "What each operator costs, by its own formula. FLOPs are 2 per multiply-accumulate plus",
    ]
    lines += ["one per elementwise operation; the cases are worked out by hand and are the tests.\n"]
    domain = None
    for operator in known_operators():
        if operator.domain != domain:
            domain = operator.domain
            lines.append(f"\n## {domain or 'ai.onnx (the default domain)'}\n")
            lines.append("| operator | what | example | FLOPs | bytes read | bytes written |")
            lines.append("|---|---|---|---|---|---|")
        case = operator.cases[0]
        attributes = ", ".join(f"{k}={v}" for k, v in case.attributes.items())
        example = f"`{case.signature}`" + (f" ({attributes})" if attributes else "")
        cells = (
            _sentence(operator),
            example,
            _amount(case.flops),
            _amount(case.bytes_read),
            _amount(case.bytes_written),
        )
        lines.append(f"| {operator.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _sentence(operator: Operator) -> str:
    module = inspect.getmodule(operator.formula)
    text = (module.__doc__ or "").strip().splitlines()[0] if module else ""
    return text.split(":", 1)[-1].strip().rstrip(".").replace("|", "\\|")


def _amount(value: object) -> str:
    return f"unknown: {value.reason}" if isinstance(value, Unknown) else str(value)


def commands_page() -> str:
    """Every command with its arguments and options."""
    collect_commands()
    root = typer.main.get_command(app)
    lines = [NOTE, "# Commands\n"]
    assert isinstance(root, TyperGroup)
    for name, command in sorted(root.commands.items()):
        lines += _command(f"rooftune {name}", command)
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any) -> list[str]:
    if isinstance(command, TyperGroup):
        return [line for n, c in sorted(command.commands.items()) for line in _command(f"{name} {n}", c)]
    arguments = " ".join(p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument")
    lines = [f"## {name} {arguments}".rstrip() + "\n", f"{(command.help or '').strip()}\n"]
    for parameter in command.params:
        written = parameter.metavar or parameter.name.upper()
        if parameter.param_type_name == "option":
            value = "" if getattr(parameter, "is_flag", False) else f" {written}"
            written = ", ".join(parameter.opts) + value
        lines.append(f"- `{written}`: {getattr(parameter, 'help', None) or ''}".rstrip(": "))
    return [*lines, ""]


def machines_page() -> str:
    """The catalog: headline figures and their standing."""
    lines = [
        NOTE,
        "# Machines\n",
        "Dense figures of the catalog. The files in `src/rooftune/machine/catalog` hold every number",
    ]
    lines += ["with its source; `rooftune machine show ID` prints them.\n"]
    lines += ["| id | name | fp32 | fp16 / bf16 | int8 | memory | standing |", "|---|---|---|---|---|---|---|"]
    for machine in list_machines().machines:
        half = machine.peak("fp16")
        half = machine.peak("bf16") if isinstance(half, Unknown) else half
        cells = [_rate(machine.peak("fp32"), "FLOP/s"), _rate(half, "FLOP/s"), _rate(machine.peak("int8"), "OP/s")]
        cells += [_rate(machine.bandwidth("DRAM"), "B/s"), _standings(machine)]
        lines.append(f"| `{machine.id}` | {machine.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rate(value: float | Unknown, unit: str) -> str:
    return "–" if isinstance(value, Unknown) else si(value, unit)


def _standings(machine: Machine) -> str:
    found = [p.standing.kind for p in machine.peaks]
    found += [b.standing.kind for level in machine.levels for b in level.bandwidths]
    return ", ".join(dict.fromkeys(found)) or "nothing known"


def fusion_page() -> str:
    """Which operators each backend runs as one kernel."""
    lines = [NOTE, "# Fused groups\n", "What the `fused` view takes as one kernel, per backend (`--groups`).\n"]
    for backend in known_backends():
        rules = fusion_rules(backend)
        lines += [f"## {backend}\n", f"Source: {rules.source}.\n"]
        lines += [f"- {p.name}: {' → '.join(p.ops)}" for p in rules.patterns]
        for group in rules.groups:
            chain = [" / ".join(sorted(group.anchor))]
            for slot in group.slots:
                names = " / ".join(sorted(slot.ops | slot.patterns))
                extra = [f"with a {slot.other}" if slot.other else "", "repeatedly" if slot.many else ""]
                extra += [f"after {' / '.join(sorted(slot.after))}" if slot.after else ""]
                note = ", ".join(filter(None, extra))
                chain.append(f"[{names}{' ' + note if note else ''}]")
            lines.append("- " + " ".join(chain))
        for quantised in rules.quantised:
            lines.append(f"- DequantizeLinear … {' / '.join(sorted(quantised.ops))} … QuantizeLinear")
        lines.append("")
    return "\n".join(lines) + "\n"


_EXACTNESS = {
    Exactness.BITWISE: "The outputs are the same to the last bit.",
    Exactness.REASSOCIATES: "The same operations in another order, or worked into weights once:",
    Exactness.APPROXIMATES: "Another formula, close to the old one:",
}


def rules_page() -> str:
    """Every rewrite rule: what it does, how exact it is, when it is used, and its examples."""
    lines = [
        NOTE,
        "# Rewrite rules\n",
        "What `rooftune rewrite` may do to a graph. Every example is a test. Graphs are in ONNX's text format; values",
        "between `<` and `>` that no node makes are weights, `#` stands for any constant.\n",
    ]
    for exactness, sentence in _EXACTNESS.items():
        steps = [step for step in all_steps().values() if step.exactness is exactness]
        if not steps:
            continue
        tolerance = exactness.tolerance
        bound = f" outputs may differ by {tolerance:g} of their largest value." if tolerance else ""
        lines += [
            f"## {exactness.value.capitalize()}\n",
            f"{sentence}{bound}\n",
            "| rule | what | used |",
            "|---|---|---|",
        ]
        for step in steps:
            title = step.title.rstrip(".").replace("|", "\\|")
            lines.append(f"| [`{step.name}`](#{step.name}) | {title} | {rule_use(step)} |")
        lines.append("")
        for step in steps:
            lines += _rule(step)
    return "\n".join(lines) + "\n"


def _rule(step: Step) -> list[str]:
    uses = [rule_use(step)]
    if isinstance(step, Rule) and step.since:
        uses.append(f"from opset {step.since}")
    lines = [f"### {step.name}\n", inspect.cleandoc(type(step).__doc__ or "") + "\n"]
    lines.append(f"{step.exactness.value.capitalize()}; {', '.join(uses)}.\n")
    return [*lines, *(line for example in step.examples for line in _example(example))]


def _example(example: Example) -> list[str]:
    name = example.name[:1].upper() + example.name[1:]
    opset = f" (opset {example.opset})" if example.opset != Example("", "").opset else ""
    lines = [f"{name}{opset}:\n", "```text", *_stripped(example.before), "```\n"]
    if example.refused:
        return [*lines, f"is refused: {example.refused}.\n"]
    if not example.after.strip():
        return [*lines, "becomes a graph without nodes.\n"]
    return [*lines, "becomes\n", "```text", *_stripped(example.after), "```\n"]


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def native_page() -> str:
    """Every operator of the default domain with a formula, and whether our own compiler takes it."""
    taken = taken_operators()
    by_module: dict[str, list[str]] = {}
    for name, take in taken.items():
        by_module.setdefault(take.__module__, []).append(name)
    lines = [
        NOTE,
        "# What runs natively\n",
        f"The {len(taken)} standard operators that the compiler has kernels for, on fp32 tensors of known size. A node",
        "that it cannot take where it stands (`rooftune compile MODEL` says why) runs in ONNX Runtime between the",
        "compiled parts.\n",
        "| operators | how they are taken |",
        "|---|---|",
    ]
    for module in sorted(by_module):
        text = (sys.modules[module].__doc__ or "").strip().splitlines()[0]
        lines.append(f"| {', '.join(sorted(by_module[module]))} | {text} |")
    lines.append("\n## Functions in registers\n")
    lines.append("Applied where a value is made, without a pass of their own: " + _listed(ACTIVATIONS) + ".\n")
    others = sorted({o.name for o in known_operators() if o.domain == ""} - set(taken))
    lines.append("## What ONNX Runtime runs\n")
    lines.append(_listed(others) + ".\n")
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(n for n in names if n))


PAGES = {
    "native.md": native_page,
    "operators.md": operators_page,
    "commands.md": commands_page,
    "machines.md": machines_page,
    "fusion.md": fusion_page,
    "rules.md": rules_page,
}


def main() -> int:
    """Write the pages, or with --check name those that are out of date (exit code 1)."""
    check = "--check" in sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name, write in PAGES.items():
        text = write()
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if stale:
        print(("out of date: " if check else "written: ") + ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
