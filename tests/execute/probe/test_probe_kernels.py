"""Every emitted kernel computes what it claims on this processor, and contains the instruction it is named after."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rooftune.compiler.machine_code import compile_code, emit_assembly, emit_object
from rooftune.execute.probe import reference
from rooftune.execute.probe.arithmetic import ArithmeticKernel, arithmetic_kernel
from rooftune.execute.probe.clock import ADDITIONS_PER_TURN, after_turns, clock_text
from rooftune.execute.probe.isa import AARCH64, INSTRUCTION_SETS, X86_64, available
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.streams import ARRAYS, PATTERNS, stream_kernel
from rooftune.execute.probe.threads import Step, Team
from rooftune.execute.probe.trial import arithmetic_kernels, stream_kernels
from rooftune.execute.probe.verify import (
    register_bytes,
    stream_argument,
    verify_arithmetic,
    verify_clock,
    verify_stream,
)
from rooftune.machine.topology import read_topology

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
ALL = [arithmetic_kernel(isa, i) for sets in INSTRUCTION_SETS.values() for isa in sets for i in isa.instructions]
STREAMS = [
    stream_kernel(isa, pattern, past)
    for sets in INSTRUCTION_SETS.values()
    for isa in sets
    if 0 < isa.bits <= 512
    for pattern in PATTERNS
    for past in (False, True)
    if not (past and (isa.scalable or pattern == "read"))
]


def loop(assembly: str) -> list[str]:
    """Instructions between the innermost loop's label and the branch back to it."""
    lines = assembly.splitlines()
    for end, line in enumerate(lines):
        target = re.search(r"^\s(?:j\w+|b\.\w+|cbnz\s+\w+,|b)\s+(\.LBB\S+)", line)
        begin = next((i for i, text in enumerate(lines[:end]) if target and text.startswith(target[1] + ":")), None)
        if begin is not None:
            body = (text.split("//")[0].split("#")[0].strip() for text in lines[begin + 1 : end])
            return [text for text in body if text and not text.startswith(".") and not text.endswith(":")]
    raise AssertionError("no loop in the assembly")


@pytest.mark.parametrize("kernel", ALL, ids=lambda kernel: f"{kernel.isa.architecture}:{kernel.id}")
def test_loop_holds_the_instruction_once_per_update_and_no_memory(kernel: ArithmeticKernel) -> None:
    body = loop(emit_assembly(kernel.text, TRIPLES[kernel.isa.architecture], kernel.features))
    found = [line for line in body if re.search(rf"\b{kernel.instruction.mnemonic}", line)]
    assert len(found) == kernel.sums * kernel.updates
    assert not [line for line in body if re.search(r"\bsp\b|%[re]sp|%[re]bp", line)], "sums spilled to the stack"


@pytest.mark.parametrize("isa", [*X86_64, *AARCH64], ids=lambda isa: f"{isa.architecture}:{isa.name}")
def test_sums_fill_the_registers(isa) -> None:
    for instruction in isa.instructions:
        assert arithmetic_kernel(isa, instruction).sums == isa.registers - instruction.held


def test_vectors_are_as_wide_as_the_instruction_set_says() -> None:
    wide = {"avx512": "zmm", "avx2": "ymm", "avx": "ymm", "sse": "xmm", "scalar-fma": "xmm"}
    for kernel in ALL:
        if kernel.isa.architecture == "x86_64" and kernel.isa.name in wide:
            body = loop(emit_assembly(kernel.text, TRIPLES["x86_64"], kernel.features))
            assert {m for line in body for m in re.findall(r"%([xyz]mm)\d", line)} == {wide[kernel.isa.name]}


def test_macs_are_those_of_the_architecture_manuals() -> None:
    macs = {f"{k.isa.architecture}:{k.id}": k.isa.macs(k.instruction) for k in ALL}
    assert macs["x86_64:avx512:fp32:vfmadd"] == 16
    assert macs["x86_64:avx512:bf16:vdpbf16ps"] == 32
    assert macs["x86_64:avx512:int8:vpdpbusd"] == 64
    assert macs["x86_64:avx2:int8:vpdpbusd"] == 32
    assert macs["x86_64:avx2:fp64:vfmadd"] == 4
    assert macs["x86_64:scalar-fma:fp32:vfmadd"] == 1
    assert macs["x86_64:amx:int8:tdpbssd"] == 16 * 16 * 64
    assert macs["x86_64:amx:bf16:tdpbf16ps"] == 16 * 16 * 32
    assert macs["aarch64:neon:fp16:fmla"] == 8
    assert macs["aarch64:neon:int8:sdot"] == 16
    assert macs["aarch64:neon:int8:smmla"] == 32
    assert macs["aarch64:neon:bf16:bfmmla"] == 16


@pytest.mark.parametrize("kernel", arithmetic_kernels(), ids=lambda kernel: kernel.id)
def test_sums_are_exact_on_this_processor(kernel: ArithmeticKernel) -> None:
    assert verify_arithmetic(kernel) == ""


def test_a_kernel_that_leaves_out_an_update_is_found_out() -> None:
    kernel = arithmetic_kernels()[0]
    last = kernel.updates
    # the first sum is written back one update early
    broken = kernel.text.replace(f"%s0.{last}, ptr %s0.at", f"%s0.{last - 1}, ptr %s0.at")
    assert broken != kernel.text
    forged = ArithmeticKernel(kernel.isa, kernel.instruction, broken, kernel.sums, kernel.updates)
    assert verify_arithmetic(forged) == "the sums are wrong"


def test_trial_numbers_are_different_sums() -> None:
    kernel = arithmetic_kernels()[-1]
    buffer = allocate(kernel.buffer_bytes)
    reference.fill(kernel, buffer, seed=1)
    x, y, sums = reference.slots(kernel, buffer, register_bytes(kernel.isa))
    after = reference.expected(kernel, x, y, sums, turns=1)
    assert (after != sums).mean() > 0.9


def test_clock_is_a_chain_of_additions() -> None:
    assert verify_clock() == ""
    body = loop(emit_assembly(clock_text(), TRIPLES["x86_64"], ()))
    assert len([line for line in body if re.match(r"(add|lea)q?\s+%?\(?%", line)]) == ADDITIONS_PER_TURN
    assert not [line for line in body if "$" in line and not line.startswith(("dec", "sub"))]
    arm = loop(emit_assembly(clock_text(), TRIPLES["aarch64"], ()))
    assert len([line for line in arm if re.match(r"add\s+x\d+, x\d+, x\d+$", line)]) == ADDITIONS_PER_TURN


def test_chain_is_fibonaccis() -> None:
    assert after_turns(0, 1, 1) == (10610209857723, 17167680177565)


@pytest.mark.parametrize("kernel", stream_kernels(), ids=lambda kernel: kernel.id)
def test_streams_move_every_element_and_nothing_else(kernel) -> None:
    assert verify_stream(kernel) == ""


@pytest.mark.parametrize("kernel", STREAMS, ids=lambda kernel: f"{kernel.isa.architecture}:{kernel.id}")
def test_streams_store_as_they_say(kernel) -> None:
    assembly = emit_assembly(kernel.text, TRIPLES[kernel.isa.architecture], kernel.features)
    past = len(re.findall(r"^\s+(?:v?movnt\w+|stnp)\s", assembly, re.MULTILINE))
    assert (past > 0) == kernel.non_temporal
    assert "memcpy" not in assembly
    accesses = re.findall(r"\((?:%\w+)?,?%?\w*\)|\[x\d+", "\n".join(loop(assembly)))
    assert len(accesses) >= kernel.vectors * ARRAYS[kernel.pattern] / 2  # ARM moves pairs


def test_every_thread_reads_its_own_array_as_often_as_it_is_told() -> None:
    kernel = stream_kernels()[0]
    code = compile_code(kernel.text, kernel.features)
    team = Team(read_topology().cores[:2])
    size = 4 * kernel.turn_bytes(register_bytes(kernel.isa))
    arrays = [allocate(size) for _ in team.cpus]
    for rank, array in enumerate(arrays):
        array.view(np.uint32)[:] = rank + 1
    arguments = [stream_argument(kernel, [array], size) for array in arrays]
    team.run([[Step(code.address("kernel"), address_of(argument), 5)] for argument in arguments])
    for rank, argument in enumerate(arguments):
        assert argument[64 : 64 + register_bytes(kernel.isa)].view(np.uint32).sum() == 5 * (rank + 1) * size // 4


def test_what_a_processor_lacks_is_not_offered() -> None:
    names = {f"{isa.name}:{i.format}:{i.mnemonic}" for isa, i in available("x86_64", {"sse2", "avx", "avx2", "fma"})}
    assert "avx2:fp32:vfmadd" in names
    assert not [name for name in names if name.startswith(("avx512", "amx")) or "vpdpbusd" in name]
    assert available("riscv64", {"v"}) == []


def test_non_temporal_stores_of_scalable_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="sve"):
        stream_kernel(AARCH64[-1], "copy", non_temporal=True)


@pytest.mark.skipif(
    not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc")), reason="needs an ARM emulator"
)
@pytest.mark.parametrize("isa", AARCH64, ids=lambda isa: isa.name)
def test_arm_kernels_are_exact_in_an_emulator(isa, tmp_path: Path) -> None:
    main = tmp_path / "main.c"
    main.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\nvoid kernel(void *, long);\n"
        "int main(int n, char **v) { long size = atol(v[2]); char *b = aligned_alloc(256, size);\n"
        'FILE *f = fopen(v[1], "r+b"); if (!f || fread(b, 1, size, f) != size) return 1;\n'
        "kernel(b, 2); rewind(f); fwrite(b, 1, size, f); return fclose(f); }\n"
    )
    for instruction in isa.instructions:
        kernel = arithmetic_kernel(isa, instruction)
        (tmp_path / "kernel.o").write_bytes(emit_object(kernel.text, TRIPLES["aarch64"], kernel.features))
        build = ["aarch64-linux-gnu-gcc", "-static", str(main), str(tmp_path / "kernel.o"), "-o", str(tmp_path / "run")]
        subprocess.run(build, check=True)
        buffer = np.zeros(kernel.buffer_bytes, np.uint8)
        reference.fill(kernel, buffer, seed=0)
        for register in (16, 32) if isa.scalable else (16,):  # SVE of 128 and of 256 bits
            data = tmp_path / "buffer"
            data.write_bytes(buffer.tobytes())
            cpu = f"max,sve-default-vector-length={register}"
            call = ["qemu-aarch64", "-cpu", cpu, str(tmp_path / "run"), str(data), str(kernel.buffer_bytes)]
            subprocess.run(call, check=True)
            wanted = reference.expected(kernel, *reference.slots(kernel, buffer, register), turns=2)
            found = reference.slots(kernel, np.frombuffer(data.read_bytes(), np.uint8), register)[2]
            np.testing.assert_array_equal(found, wanted, err_msg=f"{kernel.id} with {register} bytes")
