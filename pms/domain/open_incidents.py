"""The incidents that are not resolved: the same kind and subject are the same incident, told again.

Bounded: where one kind has very many, the next ones share a single incident that counts them. Each of them
has other words, so it is journaled only when its count has doubled, or very many would each be an entry with
every look at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from pms.contract.journal import IncidentRow
from pms.domain.incident_kinds import kind_of

MOST_OF_A_KIND = 200
MANY = "(many)"
"""The subject of those that came when there were too many of their kind already."""

_RANK = {"info": 0, "warning": 1, "critical": 2}


@dataclass(slots=True)
class OpenIncidents:
    """What is open or acknowledged, by kind and subject."""

    _rows: dict[tuple[str, str], IncidentRow] = field(default_factory=dict)
    _by_seq: dict[int, tuple[str, str]] = field(default_factory=dict)
    _of_kind: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[IncidentRow]:
        """All of them, oldest first."""
        return list(self._rows.values())

    def get(self, kind: str, subject: str) -> IncidentRow | None:
        """The unresolved incident of a subject."""
        return self._rows.get((kind, subject))

    def find(self, seq: int) -> IncidentRow | None:
        """By its id."""
        key = self._by_seq.get(seq)
        return self._rows[key] if key else None

    def full(self, kind: str) -> bool:
        """Whether the next subject of a kind gets no incident of its own."""
        return self._of_kind.get(kind, 0) >= MOST_OF_A_KIND

    def of_kind(self, kind: str) -> list[IncidentRow]:
        """All of a kind; few, for a kind is bounded."""
        return [row for row in self._rows.values() if row.kind == kind] if self._of_kind.get(kind) else []

    def note(self, told: IncidentRow) -> IncidentRow | None:
        """Open an incident, or update the one that stands; None if there is nothing to journal."""
        known = self.get(told.kind, told.subject)
        if known is None and self.full(told.kind):
            told = replace(told, subject=MANY)
            known = self.get(told.kind, MANY)
        if known is None:
            return self.take(told)
        same = (known.detail, known.evidence) == (told.detail, told.evidence)
        worse = _RANK[told.severity] > _RANK[known.severity]
        if same and not worse and kind_of(told.kind).lasting:
            return None
        row = self.take(
            replace(
                known,
                severity=told.severity if worse else known.severity,
                detail=told.detail,
                evidence=told.evidence,
                state="open" if worse else known.state,
                times=known.times + 1,
                last_at=told.at,
            )
        )
        quiet = known.subject == MANY and row.times.bit_count() > 1 and not worse
        return None if quiet else row

    def take(self, row: IncidentRow) -> IncidentRow:
        """Lay a row over what is known, as it was journaled."""
        key = row.kind, row.subject or row.detail
        if row.state == "resolved":
            if key in self._rows and self._rows[key].seq == row.seq:
                del self._rows[key]
                self._of_kind[row.kind] -= 1
            self._by_seq.pop(row.seq, None)
        else:
            if key not in self._rows:
                self._of_kind[row.kind] = self._of_kind.get(row.kind, 0) + 1
            else:
                self._by_seq.pop(self._rows[key].seq, None)
            self._rows[key] = row
            self._by_seq[row.seq] = key
        return row
