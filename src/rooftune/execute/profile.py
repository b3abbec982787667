"""Where the time of a run goes: kernels the engine really ran, and the source operators behind each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Algorithm", "Compared", "Kernel", "Profile", "assemble_profile"]


@dataclass(frozen=True)
class Compared:
    """A way of computing an operator that was weighed: its seconds alone with cold weights, measured or guessed."""

    name: str
    seconds: float
    measured: bool
    weight_bytes: int = 0


@dataclass(frozen=True)
class Algorithm:
    """How a kernel computes what the graph asks for.

    arithmetic  operations it does, over those of the formula as it is written: below 1 for Winograd's
    compared    what it was chosen from, itself among them, the fastest first
    """

    name: str
    arithmetic: float = 1.0
    compared: tuple[Compared, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Algorithm:
        compared = (
            Compared(c["name"], float(c["seconds"]), bool(c["measured"]), int(c.get("weight_bytes", 0)))
            for c in value.get("compared", ())
        )
        return cls(value["name"], float(value.get("arithmetic", 1.0)), tuple(compared))


@dataclass(frozen=True)
class Kernel:
    """Something the engine ran: its own name and type, median seconds per run, the source nodes it computes.

    seconds        scaled to the unprofiled run, see `Profile`
    source_nodes   names of nodes of the model given, empty when nobody could tell
    how            how they were found: `tensors`, `name`, `layout` (a change of layout for their sake),
                   `neighbour` (a guess: the nodes of the nearest kernel), ""
    algorithm      how it computes them, where the backend says
    """

    name: str
    type: str
    seconds: float
    source_nodes: tuple[str, ...] = ()
    how: str = ""
    algorithm: Algorithm | None = None

    @property
    def arithmetic(self) -> float:
        """Operations it does, over those of its nodes as they are written."""
        return 1.0 if self.algorithm is None else self.algorithm.arithmetic


@dataclass(frozen=True)
class Profile:
    """Kernels of a run with their times, next to the time of the whole model without profiling.

    model_seconds     median of runs without profiling: the truth
    profiled_seconds  median of runs with profiling on; more than `model_seconds` by what profiling costs
    residual_seconds  model_seconds minus the kernels: dispatch, synchronisation, copies in and out
    scale             what measured kernel times were multiplied with: 1, or less where profiling made
                      their sum exceed the unprofiled run
    attributed_share  share of kernel time whose source nodes are known; kernels that only got the nodes of a
                      neighbour do not count, the engine's layout changes do: they are done for those nodes
    shares            what of the model the backend compiled itself, where it says: `native_share` of nodes and of time,
                      `refused` nodes with their reasons, `cuts` between stages
    """

    backend: str
    settings: Mapping[str, Any]
    threads: int
    kernels: tuple[Kernel, ...]
    model_seconds: float
    profiled_seconds: float
    runs: int
    scale: float = 1.0
    shares: Mapping[str, Any] | None = None

    @property
    def kernel_seconds(self) -> float:
        return sum(k.seconds for k in self.kernels)

    @property
    def residual_seconds(self) -> float:
        return max(0.0, self.model_seconds - self.kernel_seconds)

    @property
    def attributed_share(self) -> float:
        total = self.kernel_seconds
        return sum(k.seconds for k in self.kernels if k.source_nodes and k.how != "neighbour") / total if total else 1.0

    def scaled_to(self, model_seconds: float) -> Profile:
        """The same profile for a whole-model time measured elsewhere: every part keeps its share."""
        factor = model_seconds / self.model_seconds
        return replace(
            self,
            kernels=tuple(replace(k, seconds=k.seconds * factor) for k in self.kernels),
            model_seconds=model_seconds,
            profiled_seconds=self.profiled_seconds * factor,
            scale=self.scale * factor,
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record; `from_json` gives it back."""
        return {
            "backend": self.backend,
            "settings": dict(self.settings),
            "threads": self.threads,
            "model_seconds": self.model_seconds,
            "profiled_seconds": self.profiled_seconds,
            "residual_seconds": self.residual_seconds,
            "attributed_share": self.attributed_share,
            "runs": self.runs,
            "scale": self.scale,
            **({} if self.shares is None else self.shares),
            "kernels": [
                {
                    "name": k.name,
                    "type": k.type,
                    "seconds": k.seconds,
                    "nodes": list(k.source_nodes),
                    "share": k.seconds / self.model_seconds if self.model_seconds else 0.0,
                    "how": k.how,
                    **({} if k.algorithm is None else {"algorithm": asdict(k.algorithm)}),
                }
                for k in self.kernels
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Profile:
        return cls(
            backend=value["backend"],
            settings=value["settings"],
            threads=int(value["threads"]),
            kernels=tuple(
                Kernel(
                    k["name"],
                    k["type"],
                    float(k["seconds"]),
                    tuple(k["nodes"]),
                    k.get("how", ""),
                    Algorithm.from_json(k["algorithm"]) if "algorithm" in k else None,
                )
                for k in value["kernels"]
            ),
            model_seconds=float(value["model_seconds"]),
            profiled_seconds=float(value["profiled_seconds"]),
            runs=int(value["runs"]),
            scale=float(value.get("scale", 1.0)),
            shares={k: value[k] for k in _SHARES if k in value} if "native_share" in value else None,
        )


_SHARES = ("native_share", "refused", "cuts")


def assemble_profile(
    *,
    backend: str,
    settings: Mapping[str, Any],
    threads: int,
    kernels: Sequence[Kernel],
    model_seconds: float,
    profiled_seconds: float,
    runs: int,
) -> Profile:
    """A profile whose kernels never add up to more than the run without profiling.

    Kernel times are kept as measured where they fit into `model_seconds`; the rest is the residual. Where
    profiling slowed the kernels themselves and they exceed it, they keep the share of the run that they had
    under profiling.
    """
    total = sum(k.seconds for k in kernels)
    scale = 1.0 if total <= model_seconds else model_seconds / max(profiled_seconds, total)
    scaled = tuple(replace(k, seconds=k.seconds * scale) for k in kernels)
    return Profile(backend, dict(settings), threads, scaled, model_seconds, profiled_seconds, runs, scale)
