"""What a run of the fuzzer found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from netspec.fuzz.coverage import Coverage

# More ill-conditioned graphs than this part of all say that the generator makes what proves little.
ILL_CONDITIONED_SHARE = 0.02


@dataclass(frozen=True)
class Finding:
    """A disagreement: the graph, what was compared, what is wrong, the file that reproduces it and how."""

    number: int
    kind: str  # a target, the name of a relation, a negative twin, or the front end
    mode: str
    words: tuple[str, ...]
    file: str | None = None
    command: str | None = None


@dataclass
class FuzzReport:
    """Counts and lists over all graphs of one run."""

    seed: int
    graphs: int = 0
    comparisons: Counter[str] = field(default_factory=Counter)  # by target
    relations: Counter[str] = field(default_factory=Counter)  # by name
    twins: Counter[str] = field(default_factory=Counter)  # by what was broken
    cancelled: int = 0
    findings: list[Finding] = field(default_factory=list)
    ill_conditioned: dict[int, str] = field(default_factory=dict)  # by graph
    refused: dict[int, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def agree(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        return {
            "agree": self.agree,
            "seed": self.seed,
            "graphs": self.graphs,
            "comparisons": dict(self.comparisons),
            "relations": dict(self.relations),
            "negative_twins": dict(self.twins),
            "tensors_judged_by_cancelling_terms": self.cancelled,
            "findings": [vars(finding) | {"words": list(finding.words)} for finding in self.findings],
            "ill_conditioned": [{"graph": number, "why": why} for number, why in self.ill_conditioned.items()],
            "refused": [{"graph": number, "why": why} for number, why in self.refused.items()],
            "coverage": self.coverage.to_json(),
        }

    def __str__(self) -> str:
        """Some lines for people, with a line for each thing that is listed."""
        pairs, possible = len(self.coverage.pairs & self.coverage.possible), len(self.coverage.possible)
        made = (self.comparisons.total(), self.relations.total(), self.twins.total())
        counts = "{} comparisons, {} relations, {} negative twins".format(*made)
        lines = [
            f"{self.graphs} graphs of seed {self.seed}: {counts}",
            *(f"  {name}: {count}" for name, count in sorted(self.comparisons.items())),
            f"relations: {_listed(self.relations)}",
            f"negative twins: {_listed(self.twins)}",
            f"layers: {len(+self.coverage.layers)}; pairs: {pairs} of {possible} possible, {_percent(pairs, possible)}",
            f"layers not met: {', '.join(self.coverage.missing_layers) or 'none'}",
            f"ill-conditioned: {len(self.ill_conditioned)} ({_percent(len(self.ill_conditioned), self.graphs)})",
            *(f"  graph {number}: {why}" for number, why in self.ill_conditioned.items()),
            f"judged by terms that cancel: {self.cancelled} tensors",
            f"not run: {len(self.refused)}",
            *(f"  graph {number}: {why}" for number, why in self.refused.items()),
            f"disagreements: {len(self.findings)}",
        ]
        for finding in self.findings:
            lines += [
                f"  graph {finding.number}, {finding.kind}, {finding.mode}:",
                *(f"    {w}" for w in finding.words),
            ]
            lines += [f"    {text}" for text in (finding.file, finding.command) if text]
        return "\n".join(lines) + "\n"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
