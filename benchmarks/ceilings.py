"""Are the probe's ceilings the machine's? Triad against the same loop in C, and peaks against clock × units.

    python benchmarks/ceilings.py [--quick]

The C program is the triad of STREAM, compiled with gcc -O3 -march=native for ordinary stores and written with
intrinsics for non-temporal ones. Both sides use the same array sizes (four times the last cache), cores, page sizes,
places within the page, windows (a 32nd of the arrays each) and byte count (three arrays), and measure in turns. The
C program also runs as its own twin, which says how far the numbers can be trusted. Writes
benchmarks/results/ceilings.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from rooftune.execute.probe import probe_host
from rooftune.execute.probe.bandwidths import PIECES, Arrays, StreamMeter, dram_array_bytes
from rooftune.execute.probe.measure import quickest
from rooftune.execute.probe.probe import thread_counts
from rooftune.execute.probe.threads import Team
from rooftune.execute.probe.trial import stream_kernels
from rooftune.machine.spec import Machine
from rooftune.machine.topology import read_topology, usable_threads

RESULTS = Path(__file__).parent / "results" / "ceilings.json"
TWINS_AGREE = 0.02
GOAL_BANDWIDTH, GOAL_PEAK = 0.03, 0.97

C_TRIAD = r"""
#define _GNU_SOURCE
#include <immintrin.h>
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static void ordinary(double *restrict a, const double *restrict b, const double *restrict c, double s, size_t n) {
  for (size_t i = 0; i < n; i++) a[i] = b[i] + s * c[i];
}

static void past_the_caches(double *a, const double *b, const double *c, double s, size_t n) {
#if defined(__AVX512F__)
  for (size_t i = 0; i < n; i += 8)
    _mm512_stream_pd(a + i, _mm512_fmadd_pd(_mm512_set1_pd(s), _mm512_load_pd(c + i), _mm512_load_pd(b + i)));
#elif defined(__AVX__)
  for (size_t i = 0; i < n; i += 4)
    _mm256_stream_pd(a + i,
                     _mm256_add_pd(_mm256_mul_pd(_mm256_set1_pd(s), _mm256_load_pd(c + i)), _mm256_load_pd(b + i)));
#else
  for (size_t i = 0; i < n; i += 2)
    _mm_stream_pd(a + i, _mm_add_pd(_mm_mul_pd(_mm_set1_pd(s), _mm_load_pd(c + i)), _mm_load_pd(b + i)));
#endif
  _mm_sfence();
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static double *array(size_t n, int number) {
  char *p = aligned_alloc(2 << 20, (n * sizeof(double) + 2 * (2 << 20)) & ~(size_t)((2 << 20) - 1));
  if (!p) exit(1);
  madvise(p, n * sizeof(double) + (1 << 20), MADV_HUGEPAGE);
  return (double *)(p + 1344 * number);
}

int main(int count, char **words) {
  size_t piece = strtoull(words[1], 0, 10), pieces = strtoull(words[2], 0, 10), n = piece * pieces;
  int streaming = atoi(words[3]), threads = count - 4;
  double *mine[threads][3];
  omp_set_num_threads(threads);
#pragma omp parallel
  {
    int t = omp_get_thread_num();
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(words[4 + t]), &set);
    sched_setaffinity(0, sizeof set, &set);
    for (int k = 0; k < 3; k++) {
      mine[t][k] = array(n, k);
      for (size_t i = 0; i < n; i++) mine[t][k][i] = 1 + (i * 2654435761u % 1024) / 1024.0;
    }
  }
  puts("ready");
  fflush(stdout);
  for (size_t passes; scanf("%zu", &passes) == 1;) {
    double *begin = malloc(passes * pieces * threads * sizeof(double));
    double *end = malloc(passes * pieces * threads * sizeof(double));
    atomic_int met = 0;
#pragma omp parallel
    {
      int t = omp_get_thread_num();
      for (size_t w = 0; w < passes * pieces; w++) {
        size_t at = w % pieces * piece;
        atomic_fetch_add(&met, 1);
        while (atomic_load(&met) < (int)(w + 1) * threads) _mm_pause();
        begin[w * threads + t] = now();
        (streaming ? past_the_caches : ordinary)(mine[t][0] + at, mine[t][1] + at, mine[t][2] + at, 3.0, piece);
        end[w * threads + t] = now();
      }
    }
    for (size_t w = 0; w < passes * pieces; w++) {
      double first = begin[w * threads], last = end[w * threads];
      for (int t = 1; t < threads; t++) {
        if (begin[w * threads + t] < first) first = begin[w * threads + t];
        if (end[w * threads + t] > last) last = end[w * threads + t];
      }
      printf("%.9f ", last - first);
    }
    free(begin);
    free(end);
    puts("");
    fflush(stdout);
  }
  return 0;
}
"""


class CTriad:
    """The C program, waiting with its arrays filled until it is asked for passes."""

    def __init__(self, program: Path, piece: int, non_temporal: bool, cpus: Sequence[int]) -> None:
        words = [str(program), str(piece), str(PIECES), str(int(non_temporal)), *map(str, cpus)]
        environment = os.environ | {"OMP_WAIT_POLICY": "passive", "OMP_DYNAMIC": "false"}
        self._child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        self._answer()

    def seconds(self, passes: int) -> float:
        """Time of a piece, chosen as the probe chooses, after one pass that does not count."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{passes + 1}\n")
        return float(quickest(np.array(self._answer().split()[PIECES:], np.float64), share=4))

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()

    def _answer(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            sys.exit(f"the C program ended with {self._child.wait()}")
        return line


def compile_triad(folder: Path) -> Path:
    source, program = folder / "triad.c", folder / "triad"
    source.write_text(C_TRIAD)
    flags = ["-O3", "-march=native", "-fopenmp", "-fno-builtin", "-fno-tree-loop-distribute-patterns"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(program)], check=True)
    return program


def median_interval(ratios: Sequence[float]) -> dict[str, float]:
    """Median with its 95 % bootstrap interval."""
    values = np.asarray(ratios)
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


def race_triad(program: Path, cpus: Sequence[int], non_temporal: bool, turns: int) -> dict[str, Any]:
    """C, Rooftune, C's twin in changing order, until the twins agree or the patience ends."""
    topology = read_topology()
    team = Team(cpus)
    total, whole = dram_array_bytes(topology, cpus, int(psutil.virtual_memory().available) // 3)
    stores = "non-temporal" if non_temporal else "ordinary"
    kernel = next(
        k for k in stream_kernels() if k.pattern == "triad" and k.stores == stores and k.stepwise != non_temporal
    )
    arrays = Arrays.touched(team, total // len(cpus), 3)
    meter = StreamMeter(team, kernel, arrays, None)
    moved = meter.window_bytes
    piece = moved // len(cpus) // 24
    first, twin = (CTriad(program, piece, non_temporal, cpus) for _ in range(2))
    runners: list[tuple[str, Callable[[], float]]] = [
        ("stream", lambda: moved / first.seconds(2)),
        ("rooftune", lambda: meter.sample(2).rate),
        ("twin", lambda: moved / twin.seconds(2)),
    ]
    rates: dict[str, list[float]] = {name: [] for name, _ in runners}
    for attempt in range(3):
        for turn in range(turns):
            shift = (turn + attempt) % 3
            for name, run in runners[shift:] + runners[:shift]:
                rates[name].append(run())
        twins = median_interval([b / a for a, b in zip(rates["stream"], rates["twin"], strict=True)])
        if abs(twins["median"] - 1) <= TWINS_AGREE:
            break
    first.close()
    twin.close()
    both = [(a + b) / 2 for a, b in zip(rates["stream"], rates["twin"], strict=True)]
    return {
        "threads": len(cpus),
        "stores": stores,
        "array_bytes": piece * PIECES * 8 * len(cpus),
        "four_last_caches": whole,
        "turns": len(both),
        "stream_bytes_per_second": float(np.median(both)),
        "stream_best_bytes_per_second": max(rates["stream"] + rates["twin"]),
        "rooftune_bytes_per_second": float(np.median(rates["rooftune"])),
        "rooftune_best_bytes_per_second": max(rates["rooftune"]),
        "rooftune_over_stream": median_interval([r / s for r, s in zip(rates["rooftune"], both, strict=True)]),
        "twin_over_stream": twins,
        "twins_agree": abs(twins["median"] - 1) <= TWINS_AGREE,
    }


def peaks_of(machine: Machine) -> list[dict[str, Any]]:
    return [
        {
            "format": peak.format,
            "threads": peak.threads,
            "instruction": peak.instruction,
            "flops_per_second": peak.flops_per_second,
            "theoretical_flops_per_second": peak.theoretical_flops_per_second,
            "share": peak.flops_per_second / peak.theoretical_flops_per_second,
            "variation": peak.variation,
        }
        for peak in machine.peaks
        if peak.theoretical_flops_per_second
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few turns, quick probe")
    quick = parser.parse_args().quick
    if not shutil.which("gcc"):
        sys.exit("gcc is needed to compile the triad: install it")
    topology = read_topology()
    physical = topology.physical_cores
    cpus = (*physical, *(cpu for cpu in topology.cores if cpu not in physical))
    most = usable_threads(topology)
    races = []
    with tempfile.TemporaryDirectory() as folder:
        program = compile_triad(Path(folder))
        print(f"{'triad, DRAM':30} {'STREAM':>9} {'Rooftune':>9}  ratio (95 % interval)      twins")
        for count in sorted({1, most}):
            for non_temporal in (False, True):
                race = race_triad(program, cpus[:count], non_temporal, 6 if quick else 30)
                races.append(race)
                ratio, twins = race["rooftune_over_stream"], race["twin_over_stream"]
                print(
                    f"{count:3} threads, {race['stores']:14} "
                    f"{race['stream_bytes_per_second'] / 1e9:9.2f} {race['rooftune_bytes_per_second'] / 1e9:9.2f}  "
                    f"{ratio['median']:.3f} ({ratio['low']:.3f}..{ratio['high']:.3f})  "
                    f"{twins['median']:.3f}{'' if race['twins_agree'] else ' (do not agree)'}  GB/s",
                    flush=True,
                )
    began = time.monotonic()
    machine = probe_host(quick=quick)
    seconds = time.monotonic() - began
    peaks = peaks_of(machine)
    print(f"\n{'peaks':30} {'measured':>9} {'clock×units':>11}  share  variation   ({seconds:.0f} s probe)")
    for peak in peaks:
        print(
            f"{peak['threads']:3} threads, {peak['format']:5} {peak['instruction']:18}"
            f"{peak['flops_per_second'] / 1e9:9.1f} {peak['theoretical_flops_per_second'] / 1e9:11.1f}  "
            f"{peak['share']:.3f}  {'-' if peak['variation'] is None else format(peak['variation'], '.3f')}   G/s"
        )
    result = {
        "machine": machine.name,
        "date": machine.date,
        "probe_seconds": seconds,
        "thread_counts": list(thread_counts(most)),
        "goals": {"bandwidth_within": GOAL_BANDWIDTH, "peak_share": GOAL_PEAK},
        "triad": races,
        "peaks": peaks,
        "notes": list(machine.notes),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {RESULTS}")


if __name__ == "__main__":
    main()
