"""What a run was and what it proves, for people and for docs/chaos.md."""

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from tests.chaos.checker import Check, Findings
from tests.chaos.faults import Journal
from tests.chaos.plan import FaultKind

if TYPE_CHECKING:
    from tests.chaos.run import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is told of a run.

    Args:
        sent_again: Sends without a confirmation, made again.
        ends: How worker processes ended, by why.
        copies: Repeated records by what they are.
        silences: The longest silence of each partition, in seconds.
    """

    options: "Options"
    findings: Findings
    journal: Journal
    sent: int
    sent_again: int
    ends: Mapping[str, int]
    copies: Mapping[str, int]
    silences: Mapping[str, float]
    took_s: float

    @property
    def holds(self) -> bool:
        """Whether everything is proven."""
        return self.findings.holds

    def numbers(self) -> list[tuple[str, str]]:
        """What happened."""
        partition, longest_s = max(self.silences.items(), key=lambda one: one[1])
        rebuilt = ", ".join(f"{one:.0f}" for one in self.journal.rebuilt_s)
        return [
            ("seed", str(self.options.seed)),
            ("events sent", f"{self.sent:,}"),
            ("sent again for want of a confirmation", f"{self.sent_again:,}"),
            ("time", f"{self.took_s:.0f} s, {self.sent / self.took_s:,.0f} events a second"),
            ("worker processes ended", ", ".join(f"{count} {why}" for why, count in sorted(self.ends.items()))),
            ("Redis rebuilt in seconds", rebuilt or "never lost"),
            ("copies on the wire", ", ".join(f"{count} {what}" for what, count in self.copies.items())),
            ("longest silence of a partition", f"{longest_s:.1f} s ({partition.partition('.')[2]})"),
        ]

    def faults(self) -> list[tuple[str, str, str, str]]:
        """By kind: how often, and the seconds until all partitions moved again: median and longest."""
        by_kind: dict[FaultKind, list[float]] = defaultdict(list)
        for one in self.journal.happened:
            by_kind[one.kind].append(one.recovered_s)
        return [
            (kind, str(len(took)), f"{statistics.median(took):.1f}", f"{max(took):.1f}")
            for kind in FaultKind
            if (took := by_kind.get(kind))
        ]

    def proofs(self) -> list[tuple[str, str]]:
        """Each check and how often it does not hold."""
        return [(check, str(len(self.findings.wrong[check]))) for check in Check]

    def tables(self) -> list[Table]:
        """For a terminal."""
        return [
            _table(self.numbers(), "run", ""),
            _table(self.faults(), "fault", "times", "s to recover, median", "longest"),
            _table(self.proofs(), "proof", "violations"),
        ]

    def markdown(self) -> str:
        """For a document."""
        return "\n\n".join(
            [
                _markdown(self.numbers(), "run", ""),
                _markdown(self.faults(), "fault", "times", "s to recover, median", "longest"),
                _markdown(self.proofs(), "proof", "violations"),
            ]
        )


def _table(rows: list[tuple[str, ...]], *head: str) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(rows: list[tuple[str, ...]], *head: str) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
