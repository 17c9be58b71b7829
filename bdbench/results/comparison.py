"""The comparison: one row per attack and defense, over the seeds, with what can be claimed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

from bdbench.api.specs import Role
from bdbench.results.board import Board, baseline_of
from bdbench.results.columns import Columns
from bdbench.results.examples import collect_examples
from bdbench.results.gates import ENOUGH
from bdbench.results.provenance import citations, provenance
from bdbench.results.records import ISOLATION, CellRecord
from bdbench.results.render.cells import SCHEMA
from bdbench.results.rows import CellRows, gather_rows
from bdbench.results.statistics import MIN_SEEDS
from bdbench.store.objects import Store
from bdbench.suite.resolve import Part, ResolvedSuite

__all__ = ["compare", "compare_rows"]

PARTIAL_NOTE = "only some cells of the suite: filters left the others out."

WALLS = {
    "none": "in the process of bdbench itself",
    "process": "in processes that could open any file of the user",
}
"""What kept components apart where nothing did that rows are ranked with."""

DIGITS = 10
"""Significant digits of what is computed here: more would be those of the libraries' rounding."""


def compare(
    records: Sequence[CellRecord],
    resolved: ResolvedSuite,
    run_id: str,
    *,
    store: Store | None,
    partial: bool = False,
    created: dt.datetime | None = None,
) -> dict[str, Any]:
    """The comparison as plain data, in the schema that `bdbench leaderboard --json` prints.

    A row's values are means over the seeds that succeeded; failed cells are counted, never
    averaged away.

    Args:
        records: In the order of the suite.
        resolved: The suite that they are of.
        run_id: The run that they are of.
        store: Holds values by test row, and texts for examples; None to do without.
        partial: Whether filters left cells of the suite out.
        created: When; now if it is not given.
    """
    rows: dict[str, CellRows] = {}
    examples: list[dict[str, Any]] = []
    notes: list[str] = []
    if store is not None:
        rows, notes = gather_rows(records, store)
        examples, more = collect_examples(_by_attack(records), baseline_of(resolved), store)
        notes += more
    comparison = compare_rows(records, resolved, rows)
    created = created or dt.datetime.now(dt.UTC)
    return {
        "schema": SCHEMA,
        "suite": resolved.suite.name,
        "run_id": run_id,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "bdbench": metadata.version("bdbench"),
        "partial": partial,
        "seeds": list(resolved.suite.seeds),
        "clean_rows": resolved.suite.clean_rows,
        "references": [
            item.label if isinstance(item, Part) else item for item in resolved.references
        ],
        "gates": resolved.suite.gates.model_dump(),
        **comparison,
        "examples": examples,
        "provenance": provenance(records, resolved),
        "citations": citations(records, resolved),
        "notes": [
            *_notes(records, resolved),
            *comparison["notes"],
            *notes,
            *([PARTIAL_NOTE] if partial else []),
        ],
    }


def compare_rows(
    records: Sequence[CellRecord], resolved: ResolvedSuite, rows: Mapping[str, CellRows]
) -> dict[str, Any]:
    """The part of a comparison that is computed from records and values by test row.

    Args:
        records: In the order of the suite.
        resolved: The suite that they are of.
        rows: Values by test row, by the cell's identity.

    Returns:
        The keys ``roles``, ``columns``, ``rows``, ``rankings`` and ``notes``.
    """
    columns = Columns.of(resolved, records)
    boards: dict[tuple[str, str], list[CellRecord]] = {}
    for record in records:
        boards.setdefault((record.dataset.label, record.model.label), []).append(record)
    written: list[dict[str, Any]] = []
    rankings: list[dict[str, Any]] = []
    for (dataset, model), group in boards.items():
        board = Board(dataset, model, group, resolved, columns, rows)
        written += board.rows()
        rankings += board.rankings()
    document: dict[str, Any] = _rounded(
        {
            "roles": {role.value: columns.roles.get(role) for role in Role},
            "columns": columns.documents,
            "rows": written,
            "rankings": rankings,
            "notes": columns.notes,
        }
    )
    return document


def _by_attack(
    records: Sequence[CellRecord],
) -> dict[tuple[str, str, str], dict[str, list[CellRecord]]]:
    found: dict[tuple[str, str, str], dict[str, list[CellRecord]]] = {}
    for record in records:
        place = (record.dataset.label, record.model.label, record.attack.label)
        found.setdefault(place, {}).setdefault(record.defense_label, []).append(record)
    return found


def _rounded(data: Any) -> Any:
    if isinstance(data, float):
        return float(f"{data:.{DIGITS}g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(item) for item in data] if isinstance(data, list) else data


def _notes(records: Sequence[CellRecord], resolved: ResolvedSuite) -> Iterable[str]:
    seeds = len({record.seed for record in records})
    if seeds < MIN_SEEDS:
        plural = "seed" if seeds == 1 else "seeds"
        yield (
            f"{seeds} {plural}: differences between rows may be chance; no intervals, no ranks. "
            "For a comparison that holds, run with --seeds 0,1,2."
        )
    done = {record.isolation for record in records if record.status == "success"}
    if weak := [level for level in ISOLATION if level in done and level not in ENOUGH]:
        ran = " or ".join(f"{WALLS[level]} ({level})" for level in weak)
        yield (
            f"components ran without walls, {ran}: they are taken at their word, and their rows "
            "are not ranked. Such results stay so in this home; where `bdbench doctor` finds "
            "walls, `bdbench run SUITE --home NEW` computes them again."
        )
    failed = sum(record.status == "failed" for record in records)
    if failed:
        yield f"{failed} of {len(records)} cells failed; --json has the reasons."
    incompatible = sum(record.status == "incompatible" for record in records)
    if incompatible:
        yield f"{incompatible} of {len(records)} cells cannot run; --plan says why."
    if resolved.suite.limit:
        fewer = resolved.suite.clean_rows < resolved.suite.defender.clean_rows
        clean = f", and defenders to {resolved.suite.clean_rows} clean rows" if fewer else ""
        yield f"limited to {resolved.suite.limit} rows per split{clean}: a trial, not a result."
