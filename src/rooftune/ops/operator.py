"""The decorator that turns a class with a `work` method into the cost formula of an operator."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from rooftune.ops.case import Case
from rooftune.ops.types import ELEMENTWISE_CLASSES, ShapeUnknown, ValueType, Work
from rooftune.quantities import Unknown

__all__ = ["Operator", "operator"]

T = TypeVar("T")

_CLASSES = frozenset(ELEMENTWISE_CLASSES)


@dataclass(frozen=True)
class Operator:
    """A formula with its signature: which inputs and outputs of the node reach which parameter.

    The parameters of `work` before `*` are the inputs in ONNX order (`*rest` takes the variadic tail), the
    keyword-only ones are the outputs in order (`outs` as a keyword-only name takes all outputs as a tuple).
    """

    name: str
    domain: str
    since: int
    formula: type
    inputs: tuple[str, ...]
    variadic_input: bool
    outputs: tuple[str, ...]
    attributes: frozenset[str]
    cases: tuple[Case, ...]

    @property
    def reads_part(self) -> tuple[str, ...]:
        """Inputs of which only a part is read, such as the table of a Gather."""
        return tuple(getattr(self.formula, "reads_part", ()))

    @property
    def writes_part(self) -> tuple[str, ...]:
        """Outputs of which only a part is written, such as an updated cache."""
        return tuple(getattr(self.formula, "writes_part", ()))

    @property
    def is_view(self) -> bool:
        """True where engines give the output the input's memory and move nothing (Reshape, Identity)."""
        return bool(getattr(self.formula, "is_view", False))

    def work(
        self,
        attributes: Mapping[str, Any],
        inputs: Sequence[ValueType | None],
        outputs: Sequence[ValueType | None],
    ) -> Work | Unknown:
        """Work of one node; `Unknown` where a shape it needs is not known or the node is malformed."""
        try:
            formula = self.formula(**{k: v for k, v in attributes.items() if k in self.attributes})
            named = {"outs": tuple(outputs)} if self.outputs == ("outs",) else dict(zip(self.outputs, outputs))
            count = len(inputs) if self.variadic_input else min(len(inputs), len(self.inputs))
            work = formula.work(*inputs[:count], **named)
        except ShapeUnknown as why:
            return Unknown(str(why))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as why:
            return Unknown(f"the node does not fit the definition of {self.name}: {why}")
        return self._complete(work, inputs, outputs)

    def _complete(
        self, work: Work | Unknown, inputs: Sequence[ValueType | None], outputs: Sequence[ValueType | None]
    ) -> Work | Unknown:
        if isinstance(work, Unknown):
            return work
        if not _CLASSES.issuperset(work.elementwise):
            stray = sorted(set(work.elementwise) - _CLASSES)
            raise ValueError(f"{self.name}: {stray} are no classes of elementwise operations")
        reads, writes, number_format = work.reads, work.writes, work.format
        if reads is None:
            reads = tuple([0 if v is None else v.bytes for v in inputs])
        if writes is None:
            writes = tuple([0 if v is None else v.bytes for v in outputs])
        if number_format is None:
            first = next((v for v in (*inputs, *outputs) if v is not None), None)
            number_format = getattr(first, "dtype", None)
        return Work(work.macs, work.elementwise, work.padding_macs, reads, writes, number_format)


@dataclass_transform(frozen_default=True)
def operator(name: str, *, since: int = 1, domain: str = "") -> Callable[[type[T]], type[T]]:
    """Declare the class below as the formula of `name`; its annotated fields are the attributes with defaults.

    `since` is the first opset that has the operator. Class constants: `cases` (required), and where they apply
    `reads_part`, `writes_part` (names of inputs/outputs that are touched in part) and `is_view`.
    """

    def declare(cls: type[T]) -> type[T]:
        formula = dataclass(frozen=True)(cls)
        parameters = list(inspect.signature(formula.work).parameters.values())[1:]  # type: ignore[attr-defined]
        positional = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
        formula.operator = Operator(  # type: ignore[attr-defined]
            name=name,
            domain=domain,
            since=since,
            formula=formula,
            inputs=positional,
            variadic_input=any(p.kind is p.VAR_POSITIONAL for p in parameters),
            outputs=tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
            attributes=frozenset(f.name for f in dataclasses.fields(formula)),  # type: ignore[arg-type]
            cases=tuple(getattr(formula, "cases", ())),
        )
        return formula

    return declare
