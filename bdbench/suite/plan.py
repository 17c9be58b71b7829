"""From a resolved suite to a plan: cells, and the stages that they share.

Stages of a cell, each computed once however many cells need it::

    data -> poison -> victim -> treated -> predictions -> scores

The control's victim (attack ``none``) is planned for every data set, model and seed: its answers
to an attack's triggered rows are that attack's floor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bdbench.api.needs import Needs
from bdbench.api.seeds import SeedStream
from bdbench.api.specs import DefenseStage
from bdbench.suite.identity import stage_key
from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite, task_of

__all__ = ["Cell", "Plan", "Selection", "Stage", "build_plan"]

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Stage:
    """One keyed, cached step.

    Attributes:
        kind: ``data``, ``poison``, ``base``, ``victim``, ``treated``, ``predictions`` or
            ``scores``.
        key: Its identity.
        label: For people.
        inputs: The keys of the stages that it reads, by role; a list where there are several.
        settings: Everything else that a worker needs, as JSON data (shared between stages).
    """

    kind: str
    key: str
    label: str
    inputs: Mapping[str, str | list[str]]
    settings: Mapping[str, Any]

    def reads(self) -> Iterator[str]:
        """The keys of everything that it reads."""
        for value in self.inputs.values():
            if isinstance(value, str):
                yield value
            else:
                yield from value

    def document(self) -> dict[str, Any]:
        """The stage as JSON data, for a worker."""
        return {
            "kind": self.kind,
            "key": self.key,
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """One (dataset, model, attack, defense, seed).

    Attributes:
        stages: Keys by role: ``data``, ``poison``, ``victim``, ``treated``,
            ``predictions_clean``, ``predictions_triggered``, ``scores``.
        reason: Why it cannot run; empty if it can.
    """

    dataset: Part
    model: Part
    attack: Part
    defense: ResolvedDefense
    seed: int
    stages: Mapping[str, str]
    reason: str = ""

    @property
    def label(self) -> str:
        """For people."""
        return (
            f"{self.dataset.label} · {self.model.label} · {self.attack.label} · "
            f"{self.defense.label} · seed {self.seed}"
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cells of a suite are wanted, by label; None for all of a kind."""

    datasets: Container[str] | None = None
    models: Container[str] | None = None
    attacks: Container[str] | None = None
    defenses: Container[str] | None = None
    seeds: Container[int] | None = None

    def wants(self, kind: str, value: str | int) -> bool:
        """Whether a label (or seed) is among those wanted."""
        allowed: Container[Any] | None = getattr(self, kind)
        return allowed is None or value in allowed


@dataclass(slots=True)
class Plan:
    """All cells and stages of a suite.

    Attributes:
        resolved: The suite that it is of.
        partial: Whether filters left cells of it out.
        cells: In the order of the suite.
        stages: By key, each after everything that it reads.
    """

    resolved: ResolvedSuite
    partial: bool = False
    cells: list[Cell] = field(default_factory=list)
    stages: dict[str, Stage] = field(default_factory=dict)

    def missing(self, stored: Container[str]) -> dict[str, Stage]:
        """The stages that have to be computed, given what the store holds.

        Goes backward from the scores, so that nothing is computed that only a stage read that
        is itself already there.
        """
        wanted = [cell.stages["scores"] for cell in self.cells if not cell.reason]
        needed: set[str] = set()
        while wanted:
            key = wanted.pop()
            if key not in needed and key not in stored:
                needed.add(key)
                wanted += self.stages[key].reads()
        return {key: stage for key, stage in self.stages.items() if key in needed}

    def first_failure(self, cell: Cell, failed: Container[str]) -> Stage | None:
        """The stage, earliest in the plan, whose failure keeps a cell from its scores."""
        behind: set[str] = set()
        wanted = [cell.stages["scores"]]
        while wanted:
            key = wanted.pop()
            if key not in behind:
                behind.add(key)
                wanted += self.stages[key].reads()
        return next(
            (stage for key, stage in self.stages.items() if key in behind and key in failed), None
        )

    def status(self, cell: Cell, stored: Container[str]) -> str:
        """``cached``, ``to run`` or ``incompatible``."""
        if cell.reason:
            return "incompatible"
        return "cached" if cell.stages["scores"] in stored else "to run"

    def count_cells(self, stored: Container[str]) -> Counter[str]:
        """How many cells have which status."""
        return Counter(self.status(cell, stored) for cell in self.cells)


def build_plan(resolved: ResolvedSuite, selection: Selection | None = None) -> Plan:
    """Plans every wanted cell; computes and writes nothing."""
    selection = selection or Selection()
    plan = Plan(resolved, partial=selection != Selection())
    for dataset in resolved.datasets:
        for model in resolved.models:
            if not (
                selection.wants("datasets", dataset.label)
                and selection.wants("models", model.label)
            ):
                continue
            for seed in resolved.suite.seeds:
                if selection.wants("seeds", seed):
                    _Block(plan, dataset, model, seed).add_cells(selection)
    return plan


class _Block:
    """The cells of one data set, model and seed: everything that shares a control."""

    def __init__(self, plan: Plan, dataset: Part, model: Part, seed: int) -> None:
        self.plan = plan
        self.resolved = plan.resolved
        self.dataset = dataset
        self.model = model
        self.seed = seed
        self.seeds = SeedStream(seed)
        self._shared: dict[tuple[str, ...], Any] = {}
        self.where = f"{dataset.label}, {model.label}, seed {seed}"
        suite = self.resolved.suite
        self.recipe = suite.training.model_dump(mode="json", exclude={"precision"})
        self.granted_rows = suite.defender.clean_rows
        self.training_identity = {
            "model": model.identity,
            "recipe": self.recipe,
            "precision": self.resolved.precision,
        }
        self.training_settings = {**self.training_identity, "model": model.document}
        self.data = self._stage(
            "data",
            dataset.label,
            inputs={},
            decides={"dataset": dataset.identity, "limit": suite.limit},
            settings={"dataset": dataset.document, "limit": suite.limit},
        )
        self.control = next(part for part in self.resolved.attacks if part.is_control)

    def add_cells(self, selection: Selection) -> None:
        for attack in self.resolved.attacks:
            if not selection.wants("attacks", attack.label):
                continue
            shared: dict[str, str] | None = None
            for defense in self.resolved.defenses:
                if not selection.wants("defenses", defense.label):
                    continue
                stages: dict[str, str] = {}
                reason = self._incompatible(attack, defense)
                if not reason:
                    shared = shared or self._shared_stages(attack)
                    stages = self._cell_stages(attack, defense, shared)
                self.plan.cells.append(
                    Cell(self.dataset, self.model, attack, defense, self.seed, stages, reason)
                )

    # --- what cannot run, and why -----------------------------------------------------------

    def _incompatible(self, attack: Part, defense: ResolvedDefense) -> str:
        task = task_of(self.dataset)
        for part in (self.model, attack, *defense.parts, *self.resolved.metrics):
            spec = part.component.spec
            if task and not spec.works_for(task):
                works = ", ".join(sorted(spec.tasks))
                return f"{part.label} works for {works}, {self.dataset.label} is {task}"
        return self._lacking(defense.needs, attack)

    def _lacking(self, needs: Needs, attack: Part) -> str:
        granted = self.resolved.suite.defender
        references = self._once(
            ("granted", attack.identity), lambda: len(self.resolved.references_for(attack))
        )
        if needs.access > granted.access_level:
            return (
                f"needs access to {needs.access.name.lower()}, the suite grants {granted.access} "
                "(defender.access)"
            )
        if needs.clean_rows > granted.clean_rows:
            return (
                f"needs {needs.clean_rows} clean rows, the suite grants {granted.clean_rows} "
                "(defender.clean_rows)"
            )
        if needs.references > references:
            return (
                f"needs {needs.references} reference models, the suite grants {references} for "
                f"{attack.label} (defender.references)"
            )
        if needs.base_weights and not granted.base_weights:
            return "needs the base weights, which the suite withholds (defender.base_weights)"
        if needs.training_data and not granted.training_data:
            return "needs the training rows, which the suite withholds (defender.training_data)"
        return ""

    # --- stages -----------------------------------------------------------------------------

    def _stage(
        self,
        kind: str,
        label: str,
        *,
        inputs: Mapping[str, str | list[str]],
        decides: Mapping[str, Any],
        settings: Mapping[str, Any],
        seeds: SeedStream | None = None,
    ) -> str:
        """Adds a stage unless it is there, and returns its key."""
        key = stage_key(kind, {**decides, "inputs": inputs}, seeds)
        if key not in self.plan.stages:
            if seeds:
                settings = {**settings, "seeds": [seeds.root, *seeds.path]}
            self.plan.stages[key] = Stage(kind, key, label, inputs, settings)
        return key

    def _poison(self, attack: Part) -> str:
        return self._once(("poison", attack.identity), lambda: self._make_poison(attack))

    def _once(self, name: tuple[str, ...], make: Callable[[], V]) -> V:
        """What all defenses of an attack share is worked out once: plans can be large."""
        if name not in self._shared:
            self._shared[name] = make()
        shared: V = self._shared[name]
        return shared

    def _make_poison(self, attack: Part) -> str:
        return self._stage(
            "poison",
            f"{attack.label}, {self.where}",
            inputs={"data": self.data},
            decides={"attack": attack.identity},
            settings={"attack": attack.document},
            # The attack's own randomness: the same for a victim and a reference model.
            seeds=self.seeds.child("poison"),
        )

    def _victim(self, attack: Part, seeds: SeedStream, label: str) -> str:
        inputs = {"data": self.data}
        if not attack.is_control:
            inputs["poison"] = self._poison(attack)
        return self._stage(
            "victim",
            f"{label}, {self.where}",
            inputs=inputs,
            decides=self.training_identity,
            settings=self.training_settings,
            seeds=seeds,
        )

    def _references(self, attack: Part) -> list[str]:
        return self._once(("references", attack.identity), lambda: self._make_references(attack))

    def _make_references(self, attack: Part) -> list[str]:
        return [
            self._victim(
                part, self.seeds.child("reference", index), f"reference {index + 1} ({part.label})"
            )
            for index, part in enumerate(self.resolved.references_for(attack))
        ]

    def _base(self) -> str:
        return self._once(("base",), self._make_base)

    def _make_base(self) -> str:
        return self._stage(
            "base",
            self.where,
            inputs={"data": self.data},
            decides={"model": self.model.identity},
            settings={"model": self.model.document},
            seeds=self.seeds.child("victim"),
        )

    def _grants(self, needs: Needs, attack: Part) -> dict[str, str | list[str]]:
        """The inputs of a defense: only what it declares, so that the rest can change freely."""
        inputs: dict[str, str | list[str]] = {"data": self.data}
        if needs.references:
            inputs["references"] = self._references(attack)
        if needs.base_weights:
            inputs["base"] = self._base()
        if needs.training_data and not attack.is_control:
            inputs["poison"] = self._poison(attack)
        return inputs

    def _treated(self, attack: Part, defense: ResolvedDefense, victim: str) -> str:
        filters = defense.acting(DefenseStage.FILTER)
        repairs = defense.acting(DefenseStage.REPAIR)
        if not filters and not repairs:
            return victim
        inputs = {**self._grants(defense.needs, attack), "victim": victim}
        if filters and not attack.is_control:
            inputs["poison"] = self._poison(attack)
        rows = self.granted_rows if defense.needs.clean_rows else 0
        return self._stage(
            "treated",
            f"{attack.label} · {defense.label}, {self.where}",
            inputs=inputs,
            decides={
                "filters": [part.identity for part in filters],
                "repairs": [part.identity for part in repairs],
                "clean_rows": rows,
                **self.training_identity,
            },
            settings={
                "filters": [part.document for part in filters],
                "repairs": [part.document for part in repairs],
                "clean_rows": rows,
                **self.training_settings,
            },
            seeds=self.seeds.child("defense"),
        )

    def _predictions(
        self, model: str, poison: str | None, defense: ResolvedDefense | None, attack: Part
    ) -> str:
        screens = defense.acting(DefenseStage.SCREEN) if defense else ()
        needs = defense.needs if defense and screens else Needs()
        inputs = {**self._grants(needs, attack), "model": model}
        if poison:
            inputs["triggered"] = poison
        rows = self.granted_rows if needs.clean_rows else 0
        what = f"{attack.label} · {defense.label if defense else 'floor'}"
        return self._stage(
            "predictions",
            f"{what}, {'triggered' if poison else 'clean'} rows, {self.where}",
            inputs=inputs,
            decides={
                "screens": [part.identity for part in screens],
                "clean_rows": rows,
                "model": self.model.identity,
                "precision": self.resolved.precision,
            },
            settings={
                "screens": [part.document for part in screens],
                "clean_rows": rows,
                "model": self.model.document,
                "precision": self.resolved.precision,
            },
            seeds=self.seeds.child("screen") if screens else None,
        )

    def _shared_stages(self, attack: Part) -> dict[str, str]:
        """What all defenses of an attack have in common, by role."""
        victim = self._victim(attack, self.seeds.child("victim"), attack.label)
        roles = {"data": self.data, "victim": victim}
        roles["undefended_clean"] = self._predictions(victim, None, None, attack)
        control = victim
        if not attack.is_control:
            poison = self._poison(attack)
            control = self._victim(self.control, self.seeds.child("victim"), self.control.label)
            roles["poison"] = poison
            roles["undefended_triggered"] = self._predictions(victim, poison, None, attack)
            roles["floor"] = self._predictions(control, poison, None, self.control)
        roles["control_clean"] = self._predictions(control, None, None, self.control)
        return roles

    def _cell_stages(
        self, attack: Part, defense: ResolvedDefense, shared: Mapping[str, str]
    ) -> dict[str, str]:
        treated = self._treated(attack, defense, shared["victim"])
        roles = {**shared, "treated": treated}
        roles["predictions_clean"] = self._predictions(treated, None, defense, attack)
        if not attack.is_control:
            poison = shared["poison"]
            roles["predictions_triggered"] = self._predictions(treated, poison, defense, attack)
        unread = {"victim", "treated"}
        roles["scores"] = self._stage(
            "scores",
            f"{attack.label} · {defense.label}, {self.where}",
            inputs={role: key for role, key in roles.items() if role not in unread},
            decides={"metrics": [part.identity for part in self.resolved.metrics]},
            settings={"metrics": [part.document for part in self.resolved.metrics]},
        )
        return roles
