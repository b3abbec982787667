"""Which rules and sweeps there are, and in which order they speak."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from rooftune.errors import InputError
from rooftune.rewrite import rules as folder
from rooftune.rewrite.rule import Rule
from rooftune.rewrite.sweep import Sweep

__all__ = ["ORDER", "Step", "all_steps", "choose_steps", "default_steps"]

Step = Rule | Sweep

ORDER: tuple[str, ...] = ("fold_batchnorm_into_conv",)
"""The default rewrites. At one node the first that applies wins; sweeps run before the rules of a round."""


@cache
def all_steps() -> dict[str, Step]:
    """Every rule and sweep by name: those of `ORDER` first, then those that are only used when asked for."""
    found: dict[str, Step] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        loaded = importlib.import_module(f"{folder.__name__}.{module.name}")
        for kind in vars(loaded).values():
            if isinstance(kind, type) and issubclass(kind, Rule | Sweep) and kind.__module__ == loaded.__name__:
                step = kind()
                found[step.name] = step
    ordered = {name: found.pop(name) for name in ORDER}
    return {**ordered, **found}


def default_steps() -> tuple[Step, ...]:
    """What `rewrite` does when nothing else is said."""
    return tuple(all_steps()[name] for name in ORDER)


def choose_steps(only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """The rules named in `only` (default: the default ones) without those in `skip`; InputError for unknown names."""
    known = all_steps()
    unknown = next((name for name in (*only, *skip) if name not in known), None)
    if unknown is not None:
        raise InputError(f"there is no rule {unknown!r}", "`rooftune rules` lists them")
    names = [name for name in known if name in only] if only else [s.name for s in default_steps()]
    return tuple(known[name] for name in names if name not in skip)
