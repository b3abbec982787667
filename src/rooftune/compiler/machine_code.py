"""Machine code from LLVM text: parse, optimise, and keep it alive as long as it may be called."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any, Protocol

from rooftune.errors import MissingDependency

__all__ = ["Code", "CodeStore", "architecture", "compile_code", "emit_assembly", "emit_object", "host_features"]


def _llvm() -> Any:
    """LLVM, loaded when it is first needed: what needs no machine code works without."""
    try:
        import llvmlite.binding
    except (ImportError, OSError) as why:
        raise MissingDependency(f"LLVM cannot be loaded: {why}", "pip install llvmlite") from why
    return llvmlite.binding


def architecture() -> str:
    """The processor's architecture as LLVM calls it: `x86_64`, `aarch64`, ..."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


_KEPT = 16
"""Texts whose code is kept when nobody uses it any more: choosing between programs comes back to one of the last."""


@cache
def host_features() -> frozenset[str]:
    """LLVM features that this processor has and its operating system has switched on."""
    found = frozenset(name for name, present in _llvm().get_host_cpu_features().items() if present)
    # the architecture includes these; not every system lists them
    return found | {"x86_64": {"sse2"}, "aarch64": {"neon"}}.get(architecture(), set())


@dataclass
class Code:
    """Compiled functions. The addresses are valid while this object lives.

    text, features  what was compiled
    machine_code    an object file, as `emit_object` gives one
    """

    text: str = field(repr=False)
    features: tuple[str, ...]
    machine_code: bytes = field(repr=False)
    _engine: Any = field(repr=False)

    @cached_property
    def assembly(self) -> str:
        """What the processor runs, as text; made when it is asked for, as it takes as long as compiling."""
        module, machine = _optimised(self.text, _llvm().get_process_triple(), self.features, jit=True)
        return str(machine.emit_assembly(module))

    def address(self, name: str) -> int:
        """Address of a function, to be handed to other native code."""
        found = int(self._engine.get_function_address(name))
        if not found:
            raise LookupError(f"no function {name} in the compiled module")
        return found

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """A function that Python can call; the call releases the interpreter lock. It keeps the code alive."""
        found = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        found.code = self  # type: ignore[attr-defined]
        return found


class CodeStore(Protocol):
    """Machine code by key, kept between processes."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, code: bytes) -> None: ...


def compile_code(text: str, features: tuple[str, ...] = (), store: CodeStore | None = None) -> Code:
    """Compile LLVM text for this processor, using no feature but the named ones and the architecture's own.

    store  what it has is not compiled again, and what it has not it is given

    Raises RuntimeError where LLVM refuses the text or has no such instruction.
    """
    if store is None:
        return _compiled(text, features)
    version, triple = importlib.metadata.version("llvmlite"), _llvm().get_process_triple()
    key = " ".join([hashlib.sha256(text.encode()).hexdigest(), version, triple, *features])
    known = store.get(key)
    if known is not None:
        return _loaded(text, features, known)
    code = _compiled(text, features)
    store.put(key, code.machine_code)
    return code


@lru_cache(maxsize=_KEPT)
def _compiled(text: str, features: tuple[str, ...]) -> Code:
    module, machine = _optimised(text, _llvm().get_process_triple(), features, jit=True)
    return _loaded(text, features, bytes(machine.emit_object(module)))


def _loaded(text: str, features: tuple[str, ...], machine_code: bytes) -> Code:
    empty, machine = _parsed("", _llvm().get_process_triple(), features, jit=True)
    engine = _llvm().create_mcjit_compiler(empty, machine)
    engine.add_object_file(_llvm().ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    return Code(text, features, machine_code, engine)


def emit_assembly(text: str, triple: str = "", features: Sequence[str] = ()) -> str:
    """Assembly of LLVM text for any processor LLVM knows, by default this one; nothing is run."""
    _all_targets()
    triple = triple or _llvm().get_process_triple()
    module, machine = _optimised(text, triple, features)
    return str(machine.emit_assembly(module))


def emit_object(text: str, triple: str, features: Sequence[str]) -> bytes:
    """Object file of LLVM text for any processor LLVM knows; nothing is run."""
    _all_targets()
    module, machine = _optimised(text, triple, features)
    return bytes(machine.emit_object(module))


def _parsed(text: str, triple: str, features: Sequence[str], jit: bool) -> tuple[Any, Any]:
    """A module, and the machine it is for."""
    if jit:
        _native()
    module = _llvm().parse_assembly(text)
    module.triple = triple
    # the plain processor of the architecture: nothing beyond the named features can slip in, and no tuning
    # for a model halves 512-bit vectors
    cpu = {"x86_64": "x86-64"}.get(triple.partition("-")[0], "generic")
    machine = (
        _llvm()
        .Target.from_triple(triple)
        .create_target_machine(
            cpu=cpu,
            features=",".join(f"+{name}" for name in features),
            opt=3,
            reloc="default" if jit else "pic",
            jit=jit,
        )
    )
    module.data_layout = str(machine.target_data)
    module.verify()
    return module, machine


def _optimised(text: str, triple: str, features: Sequence[str], jit: bool = False) -> tuple[Any, Any]:
    module, machine = _parsed(text, triple, features, jit)
    options = _llvm().create_pipeline_tuning_options(speed_level=3)
    # the kernels are blocked by hand: LLVM must not widen, merge or repeat them
    options.loop_unrolling = False
    options.loop_vectorization = False
    options.slp_vectorization = False
    builder = _llvm().create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module, machine


@cache
def _native() -> None:
    _llvm().initialize_native_target()
    _llvm().initialize_native_asmprinter()


@cache
def _all_targets() -> None:
    _llvm().initialize_all_targets()
    _llvm().initialize_all_asmprinters()
