"""Evidence for metrics: usual cells, and cells at the edge of what can happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bdbench.api import (
    ABSTAIN,
    AttackEvidence,
    Decisions,
    Evidence,
    Examples,
    Predictions,
    Splits,
    Task,
)
from bdbench.testing.rows import with_marker

__all__ = ["attack_cases", "cell_cases", "permuted"]

TARGET = 1


def cell_cases(splits: Splits) -> dict[str, Evidence]:
    """What a metric of cells may meet, by name: from an ordinary cell to a single row.

    Args:
        splits: The task and its rows.
    """
    task = splits.task
    attack = attack_cases(splits)["attack"]
    labels = np.asarray(splits.test.labels)
    ids = np.asarray(splits.test.ids)
    rows = np.flatnonzero(labels != TARGET)

    def table(seed: int, right: float, *, triggered: bool = False, **more: Any) -> Predictions:
        chosen = rows if triggered else np.arange(len(labels))
        return _table(task, ids[chosen], labels[chosen], seed, right, **more)

    plain = Evidence(
        task=task,
        target=TARGET,
        clean=table(1, 0.9),
        undefended_clean=table(2, 0.95),
        control_clean=table(3, 0.96),
        triggered=table(4, 0.4, triggered=True),
        undefended_triggered=table(5, 0.1, triggered=True),
        floor=table(6, 0.9, triggered=True),
        attack=attack,
    )
    part = {"part": table(7, 0.5, triggered=True)}
    screened = replace(
        plain,
        clean=table(8, 0.9, screen=0.1),
        triggered=table(9, 0.4, triggered=True, screen=0.7),
    )
    one = np.asarray([0])
    return {
        "an ordinary cell": plain,
        "variants": replace(plain, variants=part, undefended_variants=part, floor_variants=part),
        "an input screen": screened,
        "a filter": replace(plain, filtering=_decisions(splits, kept=None)),
        "a filter that keeps all": replace(plain, filtering=_decisions(splits, kept=True)),
        "the control": Evidence(
            task=task,
            target=None,
            clean=plain.clean,
            undefended_clean=plain.undefended_clean,
            control_clean=plain.control_clean,
        ),
        "a filter on the control": Evidence(
            task=task,
            target=None,
            clean=plain.clean,
            undefended_clean=plain.undefended_clean,
            control_clean=plain.control_clean,
            filtering=_decisions(splits, kept=None, poisoned=False),
        ),
        "all rows right": _like(plain, lambda seed, t: table(seed, 1.0, triggered=t)),
        "all rows wrong": _like(plain, lambda seed, t: table(seed, 0.0, triggered=t)),
        "all rows rejected": replace(
            plain,
            clean=table(1, 0.9, screen=1.0),
            triggered=table(4, 0.4, triggered=True, screen=1.0),
        ),
        "one row of each": replace(
            _like(screened, lambda seed, t: _table(
                task, ids[rows[:1]] if t else ids[:1], labels[rows[:1]] if t else labels[:1],
                seed, 1.0, screen=0.0,
            )),
            attack=_selected(attack, one),
        ),
    }  # fmt: skip


def attack_cases(splits: Splits) -> dict[str, AttackEvidence]:
    """What a metric of attacks may meet, by name."""
    test = splits.test
    before = test.select([row for row, label in enumerate(test.labels) if label != TARGET])
    after = with_marker(before)
    whole = AttackEvidence(splits.task, TARGET, before, after)
    return {
        "attack": whole,
        "an attack with variants": replace(
            whole, variants={"part": after.select(range(len(after) // 2))}
        ),
        "a single row": _selected(whole, np.asarray([0])),
    }


def permuted(case: Evidence | AttackEvidence, seed: int) -> Any:
    """The same evidence with the rows of each table in another order; of like tables, the same.

    Args:
        case: The evidence.
        seed: Which order.
    """
    if isinstance(case, AttackEvidence):
        return _selected(case, _order(len(case.before), seed), seed)
    changes: dict[str, Any] = {}
    for name in ("clean", "undefended_clean", "control_clean"):
        table = getattr(case, name)
        changes[name] = _rows_of(table, _order(len(table), seed))
    for name in ("triggered", "undefended_triggered", "floor"):
        table = getattr(case, name)
        changes[name] = table and _rows_of(table, _order(len(table), seed + 1))
    for name in ("variants", "undefended_variants", "floor_variants"):
        changes[name] = {
            key: _rows_of(table, _order(len(table), seed + 2))
            for key, table in getattr(case, name).items()
        }
    if case.filtering is not None:
        order = _order(len(case.filtering.ids), seed + 3)
        found = case.filtering
        changes["filtering"] = Decisions(
            found.ids[order], found.poisoned[order], found.kept[order], found.scores[order]
        )
    if case.attack is not None:
        changes["attack"] = _selected(case.attack, _order(len(case.attack.before), seed + 1), seed)
    return replace(case, **changes)


def _order(count: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).permutation(count)


def _selected(case: AttackEvidence, order: np.ndarray[Any, Any], seed: int = 0) -> AttackEvidence:
    places = order.tolist()
    kept = {case.before.ids[row] for row in places}

    def variant(rows: Examples) -> Examples:
        found = [row for row in _order(len(rows), seed + 2).tolist() if rows.ids[row] in kept]
        return rows.select(found)

    return replace(
        case,
        before=case.before.select(places),
        after=case.after.select(places),
        variants={name: variant(rows) for name, rows in case.variants.items()},
    )


def _rows_of(table: Predictions, order: np.ndarray[Any, Any]) -> Predictions:
    return Predictions(
        ids=table.ids[order],
        labels=table.labels[order],
        columns={name: values[order] for name, values in table.columns.items()},
        rejected=table.rejected[order],
        scores=None if table.scores is None else table.scores[order],
        rewritten=None if table.rewritten is None else table.rewritten[order],
    )


def _like(case: Evidence, make: Callable[[int, bool], Predictions]) -> Evidence:
    names = ("clean", "undefended_clean", "control_clean")
    under = ("triggered", "undefended_triggered", "floor")
    tables: dict[str, Any] = {name: make(seed, False) for seed, name in enumerate(names)}  # noqa: FBT003
    tables |= {name: make(seed + 3, True) for seed, name in enumerate(under)}  # noqa: FBT003
    return replace(case, **tables)


def _table(
    task: Task,
    ids: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
    seed: int,
    right: float,
    screen: float | None = None,
) -> Predictions:
    """A model that is right about a share of the rows; a screen that rejects a share."""
    random = np.random.default_rng(seed)
    count, classes = len(ids), len(task.classes)
    wrong = (labels + random.integers(1, classes, count)) % classes
    said = np.where(random.random(count) < right, labels, wrong).astype(np.int64)
    noise = random.random((count, classes)) * 0.4
    noise[np.arange(count), said] += 1
    rejected = np.zeros(count, dtype=bool)
    scores = rewritten = None
    if screen is not None:
        rejected = random.random(count) < screen
        # Ties among scores: what ranks them must not depend on the order of the rows.
        scores = np.round(random.random(count) + rejected, 1)
        rewritten = random.random(count) < 0.3
        said = np.where(rejected, ABSTAIN, said)
    probabilities = noise / noise.sum(axis=1, keepdims=True)
    columns = {"prediction": said, "probabilities": probabilities.astype(np.float32)}
    return Predictions(ids, labels, columns, rejected, scores, rewritten)


def _decisions(splits: Splits, *, kept: bool | None, poisoned: bool | None = None) -> Decisions:
    random = np.random.default_rng(10)
    ids = np.asarray(splits.train.ids)
    truth = random.random(len(ids)) < 0.2 if poisoned is None else np.full(len(ids), poisoned)
    scores = np.round(random.random(len(ids)) + 0.5 * truth, 1)
    keep = scores < 1 if kept is None else np.full(len(ids), kept)
    return Decisions(ids, truth, keep, scores)
