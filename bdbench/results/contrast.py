"""Two defenses of one run, or two runs, side by side, with paired tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bdbench.results.differences import by_place, common_changes, count_changes
from bdbench.results.estimates import Cells, cells_of, correct, difference, sample
from bdbench.results.records import CellRecord
from bdbench.results.rows import CellRows

__all__ = ["SCHEMA", "Finished", "contrast_defenses", "contrast_runs"]

SCHEMA = "bdbench.contrast/1"
ROLES = ("attack", "utility")
ROWS = ("dataset", "model", "attack", "defense")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run.

    Attributes:
        comparison: Its comparison.
        records: Of its cells.
        rows: What each test row contributed, by cell.
    """

    comparison: Mapping[str, Any]
    records: Sequence[CellRecord]
    rows: Mapping[str, CellRows]

    def cells(self, *place: str) -> Cells:
        """The cells of a data set, model, attack and defense that succeeded."""
        return cells_of([record for record in self.records if _place(record) == place], self.rows)

    def column(self, role: str) -> Mapping[str, Any] | None:
        """The column with a role."""
        name = self.comparison["roles"].get(role)
        return next((item for item in self.comparison["columns"] if item["name"] == name), None)


def contrast_defenses(run: Finished, one: str, other: str) -> dict[str, Any]:
    """Two defenses against every attack of a run.

    Differences are of `other` minus `one`, paired by seed and test row; those of one role are
    one family for Holm's correction.
    """
    entries = []
    rows = {tuple(row[key] for key in ROWS): row for row in run.comparison["rows"]}
    for (*place, defense), row in rows.items():
        if defense != one or (*place, other) not in rows:
            continue
        pair = run.cells(*place, one), run.cells(*place, other)
        entries.append(
            {
                **dict(zip(ROWS[:3], place, strict=True)),
                "control": row["control"],
                "gate": row["gate"],
                "values": {role: _pair(run.column(role), *pair) for role in ROLES},
            }
        )
    _judge(run, entries)
    return {
        "schema": SCHEMA,
        "kind": "defenses",
        "a": one,
        "b": other,
        "run_id": run.comparison["run_id"],
        "columns": {role: run.column(role) for role in ROLES},
        "entries": entries,
    }


def contrast_runs(before: Finished, after: Finished) -> dict[str, Any]:
    """Two runs: which cells both have, what they were made with, and what came of it.

    Differences are of `after` minus `before`. Rows are paired by seed and test row where both
    runs had the same data; where they had not, by seed alone.
    """
    old, new = by_place(before.records), by_place(after.records)
    shared = [place for place in old if place in new]
    changed = [place for place in shared if old[place].cell_id != new[place].cell_id]
    entries = []
    for place in dict.fromkeys(where[:4] for where in shared):
        seeds = [where for where in shared if where[:4] == place]
        entries.append(
            {
                **dict(zip(ROWS, place, strict=True)),
                "seeds": [where[4] for where in seeds],
                "same": all(where not in changed for where in seeds),
                "status": {
                    "a": sorted({old[where].status for where in seeds}),
                    "b": sorted({new[where].status for where in seeds}),
                },
                **_values(before, after, place, [(old[item], new[item]) for item in seeds]),
            }
        )
    _judge(after, entries)
    counted = count_changes((old[place], new[place]) for place in shared)
    counted |= dict.fromkeys(common_changes(before.comparison, after.comparison), len(shared))
    return {
        "schema": SCHEMA,
        "kind": "runs",
        "a": before.comparison["run_id"],
        "b": after.comparison["run_id"],
        "columns": {role: after.column(role) for role in ROLES},
        "cells": {
            "both": len(shared),
            "same": len(shared) - len(changed),
            "only_a": [list(place) for place in old if place not in new],
            "only_b": [list(place) for place in new if place not in old],
        },
        "changes": [
            {"what": change.what, "a": change.before, "b": change.after, "cells": count}
            for change, count in counted.items()
        ],
        "entries": entries,
    }


def _values(
    before: Finished,
    after: Finished,
    place: tuple[str, ...],
    pairs: Iterable[tuple[CellRecord, CellRecord]],
) -> dict[str, Any]:
    """The values of one place in both runs, by role."""
    # What never ran had no data.
    data = [(one.stages.get("data"), other.stages.get("data")) for one, other in pairs]
    same_rows = all(one == other for one, other in data if one and other)
    if not same_rows:
        before = Finished(before.comparison, before.records, {})
        after = Finished(after.comparison, after.records, {})
    found: dict[str, Any] = {}
    for role in ROLES:
        old, new = before.column(role), after.column(role)
        named_alike = old and new and old["name"] == new["name"]
        cells = before.cells(*place), after.cells(*place)
        found[role] = _pair(new, *cells) if named_alike else None
    return {"paired_by_row": same_rows, "values": found}


def _pair(column: Mapping[str, Any] | None, one: Cells, other: Cells) -> dict[str, Any] | None:
    """Both means and their difference; None if no seed has both."""
    if not column:
        return None
    name, bounds = column["name"], tuple(column["bounds"])
    ours, theirs = sample(one, name), sample(other, name)
    found = difference(other, name, one, name)
    if not ours or not theirs or not found:
        return None
    return {
        "a": ours.estimate(bounds),
        "b": theirs.estimate(bounds),
        "difference": found.change(bounds),
    }


def _judge(run: Finished, entries: Sequence[dict[str, Any]]) -> None:
    """Corrects the tests of each role for their number, and says who is better.

    What is the very same in both is not tested.
    """
    tested = [entry for entry in entries if not entry.get("same")]
    for pair in (pair for entry in entries for pair in entry["values"].values() if pair):
        pair["difference"] |= {"p_holm": None, "significant": None}
        pair["better"] = None
    for role in ROLES:
        column = run.column(role)
        pairs = [entry["values"][role] for entry in tested if entry["values"][role]]
        correct([pair["difference"] for pair in pairs])
        for pair in pairs:
            change = pair["difference"]
            higher = column is not None and column["direction"] == "higher"
            better = "b" if (change["mean"] > 0) == higher else "a"
            pair["better"] = better if change["significant"] else ""


def _place(record: CellRecord) -> tuple[str, ...]:
    return (record.dataset.label, record.model.label, record.attack.label, record.defense_label)
