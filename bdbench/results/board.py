"""All that is compared with each other: the rows and the ranking of one data set and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bdbench.api.defenses import Selection
from bdbench.api.specs import DefenseSpec, Role
from bdbench.results.columns import Columns
from bdbench.results.costs import mean_cost
from bdbench.results.estimates import Cells, cells_of, correct, difference, sample
from bdbench.results.gates import (
    NEVER_ATTACKED,
    judge_attack,
    judge_defense,
    least_isolated,
    why_unranked,
)
from bdbench.results.ranking import pareto_front, rank_defenses
from bdbench.results.records import CellRecord
from bdbench.results.rows import CellRows
from bdbench.suite.resolve import ResolvedSuite

__all__ = ["Board", "baseline_of"]


@dataclass
class Board:
    """One data set and model.

    Attributes:
        dataset: Its label in the suite.
        model: Its label in the suite.
        records: Its cells, in the order of the suite.
        resolved: The suite.
        columns: What was measured.
        by_row: Values by test row, by the cell's identity.
    """

    dataset: str
    model: str
    records: Sequence[CellRecord]
    resolved: ResolvedSuite
    columns: Columns
    by_row: Mapping[str, CellRows]

    @cached_property
    def places(self) -> dict[tuple[str, str], list[CellRecord]]:
        """Records by attack and defense, in the order of the suite."""
        places: dict[tuple[str, str], list[CellRecord]] = {}
        for record in self.records:
            places.setdefault((record.attack.label, record.defense_label), []).append(record)
        return places

    @cached_property
    def cells(self) -> dict[tuple[str, str], Cells]:
        """What was measured, by attack and defense."""
        return {place: cells_of(group, self.by_row) for place, group in self.places.items()}

    @cached_property
    def control(self) -> str:
        """The label of the attack that touches nothing."""
        return next(part.label for part in self.resolved.attacks if part.is_control)

    @cached_property
    def baseline(self) -> str:
        """The label of the defense that does nothing."""
        return baseline_of(self.resolved)

    @cached_property
    def gates(self) -> dict[str, dict[str, Any]]:
        """Whether each attack took."""
        gates = {}
        for attack in dict.fromkeys(attack for attack, _ in self.places):
            if attack == self.control:
                gates[attack] = {"passed": False, "reason": NEVER_ATTACKED}
                continue
            # Of the seeds that both have: where some failed, the means would be of others.
            victim, control = _shared(
                self.cells.get((attack, self.baseline), {}),
                self.cells.get((self.control, self.baseline), {}),
            )
            gates[attack] = judge_attack(
                self.resolved.suite.gates,
                success=_mean(victim, self.columns.roles.get(Role.ATTACK)),
                floor=_mean(victim, self.columns.roles.get(Role.FLOOR)),
                utility=_mean(victim, self.columns.roles.get(Role.UTILITY)),
                control_utility=_mean(control, self.columns.roles.get(Role.UTILITY)),
            )
        return gates

    @cached_property
    def written(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows of the comparison, by attack and defense."""
        written = {place: self._row(*place) for place in self.places}
        for role in ("attack", "utility"):
            changes = [row["changes"][role] for row in written.values() if row["changes"][role]]
            correct(changes)
        for attack in self.gates:
            points = [
                (row, self._mean(row, Role.ATTACK), _utility_change(row))
                for (own, _), row in written.items()
                if own == attack and row["ranked"]
            ]
            known = [
                (row, (success, change))
                for row, success, change in points
                if success is not None and change is not None
            ]
            front = pareto_front([point for _, point in known])
            for (row, _), on_front in zip(known, front, strict=True):
                row["pareto"] = on_front
        return written

    def rows(self) -> list[dict[str, Any]]:
        """The rows, in the order of the suite."""
        return list(self.written.values())

    def rankings(self) -> Iterator[dict[str, Any]]:
        """The ranking, if there is something to rank.

        An attack counts if it took and its undefended victim may be ranked; a defense does if
        it may be ranked on every attack that counts. A cell that failed so takes its defense
        out of the ranking, and not the attack that it failed on.
        """
        left_out = []
        attacks = []
        for attack in self.gates:
            row = self.written.get((attack, self.baseline))
            if attack == self.control:
                continue
            if row is None or not row["ranked"]:
                reason = row["unranked_because"] if row else "its undefended victim is left out"
                left_out.append({"attack": attack, "reason": reason})
            else:
                attacks.append(attack)
        defenses, without = self._rankable(attacks)
        if not attacks or len(defenses) < 2:
            return
        name = self.columns.roles[Role.ATTACK]
        chosen = [(attack, defense) for attack in attacks for defense in defenses]
        found = rank_defenses(
            {place: self.cells[place] for place in chosen},
            attacks,
            {place: _utility_change(self.written[place]) for place in chosen},
            name,
            self.columns.bounds(name),
        )
        if without:
            listed = "; ".join(f"{name} ({why})" for name, why in without.items())
            found["note"] = f"{found['note']} Not ranked: {listed}.".strip()
        yield {
            "dataset": self.dataset,
            "model": self.model,
            "attacks": attacks,
            "left_out": left_out,
            **found,
        }

    def _rankable(self, attacks: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The defenses that are ranked on all these attacks; why not for the others."""
        defenses, without = [], {}
        for defense in dict.fromkeys(defense for _, defense in self.places):
            reasons: dict[str, None] = {}
            for attack in attacks:
                row = self.written.get((attack, defense))
                if row is None:
                    reasons[f"not run on {attack}"] = None
                elif not row["ranked"]:
                    reasons[row["unranked_because"]] = None
            if reasons:
                without[defense] = ", ".join(reasons)
            else:
                defenses.append(defense)
        return defenses, without

    def _row(self, attack: str, defense: str) -> dict[str, Any]:
        group, cells = self.places[attack, defense], self.cells[attack, defense]
        by_status: dict[str, int] = {}
        for record in group:
            by_status[record.status] = by_status.get(record.status, 0) + 1
        baseline = defense == self.baseline
        changes = {
            role.value: None if baseline else self._change(attack, defense, role)
            for role in (Role.ATTACK, Role.UTILITY)
        }
        cost = changes[Role.UTILITY.value]
        harm = judge_defense(self.resolved.suite.gates, cost["mean"] if cost else None)
        attacked = self.columns.roles.get(Role.ATTACK)
        unranked = why_unranked(group, self.gates[attack], attacked, harm)
        done = [record for record in group if record.status == "success"] or group
        selections = [Selection(record.selection) for record in done]
        return {
            "dataset": self.dataset,
            "model": self.model,
            "attack": attack,
            "defense": defense,
            "control": attack == self.control,
            "baseline": baseline,
            "seeds": sorted(cells),
            "status": by_status,
            "reasons": sorted({record.reason for record in group if record.reason}),
            "needs": group[0].needs,
            "values": {
                column["name"]: found.estimate(self.columns.bounds(column["name"]))
                if (found := sample(cells, column["name"]))
                else None
                for column in self.columns.documents
            },
            "changes": changes,
            "over_floor": self._over_floor(cells),
            "control_effect": None if baseline else self._control_effect(defense),
            "gate": self.gates[attack],
            "ranked": not unranked,
            "unranked_because": unranked,
            "pareto": False,
            "cost": mean_cost(group),
            "selection": max(selections, key=list(Selection).index).value,
            "isolation": least_isolated(done),
            "failed": by_status.get("failed", 0),
            "cells": [record.cell_id for record in group],
        }

    def _change(self, attack: str, defense: str, role: Role) -> dict[str, Any] | None:
        """What a defense changes, against the undefended victim of the same attack."""
        name, before = self.columns.roles.get(role), self.cells.get((attack, self.baseline))
        if name is None or before is None:
            return None
        found = difference(self.cells[attack, defense], name, before, name)
        return None if found is None else found.change(self.columns.bounds(name))

    def _over_floor(self, cells: Cells) -> dict[str, Any] | None:
        """How far the attack's success is above that on the control."""
        name, floor = (self.columns.roles.get(role) for role in (Role.ATTACK, Role.FLOOR))
        if name is None or floor is None:
            return None
        found = difference(cells, name, cells, floor)
        return None if found is None else _without_test(found.change(self.columns.bounds(name)))

    def _control_effect(self, defense: str) -> dict[str, Any] | None:
        """What a defense does to a model that was never attacked."""
        if (self.control, defense) not in self.places:
            return None
        change = self._change(self.control, defense, Role.UTILITY)
        return None if change is None else _without_test(change)

    def _mean(self, row: Mapping[str, Any], role: Role) -> float | None:
        found = row["values"].get(self.columns.roles.get(role))
        return None if found is None else float(found["mean"])


def _shared(one: Cells, other: Cells) -> tuple[Cells, Cells]:
    """The cells of the seeds that both have; all, where one of them has none."""
    seeds = [seed for seed in one if seed in other]
    if not seeds:
        return one, other
    return {seed: one[seed] for seed in seeds}, {seed: other[seed] for seed in seeds}


def _mean(cells: Cells, name: str | None) -> float | None:
    found = sample(cells, name) if name else None
    return found.mean if found else None


def _utility_change(row: Mapping[str, Any]) -> float | None:
    if row["baseline"]:
        return 0.0
    change = row["changes"]["utility"]
    return None if change is None else float(change["mean"])


def baseline_of(resolved: ResolvedSuite) -> str:
    """The label of the defense that does nothing: it acts at no stage."""
    return next(
        defense.label
        for defense in resolved.defenses
        if not any(
            isinstance(part.component.spec, DefenseSpec) and part.component.spec.stages
            for part in defense.parts
        )
    )


def _without_test(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name != "p"}
