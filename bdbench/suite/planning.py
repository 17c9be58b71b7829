"""From a resolved suite to a plan.

Stages of a cell, each computed once however many cells need it::

    data -> poison -> victim -> treated -> predictions -> scores

Some attacks add stages: ``pretrained`` before ``victim`` and ``edited`` after it, for those on
that surface; ``triggered``, for those that ask the victim before they choose the trigger (the
others make the triggered rows in ``poison``). Screens that look at no model add ``screened``,
which all victims and defenses share.

The control's victim (attack ``none``) is planned for every data set, model and seed: its answers
to an attack's triggered rows are that attack's floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bdbench.api.needs import Access, Needs
from bdbench.api.specs import DefenseStage, Subject, Surface
from bdbench.suite.compatible import obstacle
from bdbench.suite.plan import Cell, Plan, Wanted
from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite, needs_of
from bdbench.suite.victims import Victims

__all__ = ["build_plan"]


def build_plan(resolved: ResolvedSuite, wanted: Wanted | None = None) -> Plan:
    """Plans every wanted cell; computes and writes nothing."""
    wanted = wanted or Wanted()
    plan = Plan(resolved, partial=wanted != Wanted())
    for dataset in resolved.datasets:
        for model in resolved.models:
            if not (
                wanted.includes("datasets", dataset.label)
                and wanted.includes("models", model.label)
            ):
                continue
            for seed in resolved.suite.seeds:
                if wanted.includes("seeds", seed):
                    _Block(plan, dataset, model, seed).add_cells(wanted)
    return plan


class _Block:
    """The cells of one data set, model and seed: everything that shares a control."""

    def __init__(self, plan: Plan, dataset: Part, model: Part, seed: int) -> None:
        self.plan = plan
        self.resolved = plan.resolved
        self.dataset = dataset
        self.model = model
        self.seed = seed
        self.victims = Victims(plan, dataset, model, seed)
        self.data = self.victims.data
        self.seeds = self.victims.seeds
        self.where = self.victims.where
        self.granted_rows = self.resolved.suite.clean_rows
        cell, attack = Subject.CELL, Subject.ATTACK
        self.metrics = {about: self.resolved.metrics_of(about) for about in (cell, attack)}
        self.control = next(part for part in self.resolved.attacks if part.is_control)

    def add_cells(self, wanted: Wanted) -> None:
        for attack in self.resolved.attacks:
            shared: dict[str, str] | None = None
            for defense in self.resolved.defenses:
                if not wanted.includes_pair(attack, defense):
                    continue
                stages: dict[str, str] = {}
                reason = obstacle(self.resolved, self.dataset, self.model, attack, defense)
                if not reason:
                    shared = shared or self._shared_stages(attack)
                    stages = self._cell_stages(attack, defense, shared)
                self.plan.cells.append(
                    Cell(self.dataset, self.model, attack, defense, self.seed, stages, reason)
                )

    # --- what a defender is granted -----------------------------------------------------------

    def _grants(self, needs: Needs, attack: Part) -> dict[str, str | list[str]]:
        """The inputs of a defense: only what it declares, so that the rest can change freely."""
        inputs: dict[str, str | list[str]] = {"data": self.data}
        if needs.references:
            inputs["references"] = self.victims.references(attack)
        if needs.base_weights:
            inputs["base"] = self.victims.granted_base()
        if needs.training_data and Surface.DATA in attack.attack_spec.surfaces:
            inputs["poison"] = self.victims.poison(attack)
        return inputs

    # --- what a defense makes -----------------------------------------------------------------

    def _treated(self, attack: Part, defense: ResolvedDefense, victim: str) -> str:
        filters = defense.acting(DefenseStage.FILTER)
        repairs = defense.acting(DefenseStage.REPAIR)
        if not filters and not repairs:
            return victim
        needs = needs_of((*filters, *repairs))
        inputs = {**self._grants(needs, attack), "victim": victim}
        if filters:
            # Who filters trains anew and honestly, from where the victim started.
            inputs |= self.victims.training_inputs(attack)
        tuning = self._tuning(repairs)
        rows = self.granted_rows if needs.clean_rows or tuning else 0
        return self.victims.stage(
            "treated",
            f"{attack.label} · {defense.label}, {self.where}",
            inputs=inputs,
            decides={
                "filters": [part.identity for part in filters],
                "repairs": [part.identity for part in repairs],
                "clean_rows": rows,
                **({"tuning": tuning} if tuning else {}),
                **self.victims.training_identity,
            },
            settings={
                "filters": [part.document for part in filters],
                "repairs": [part.document for part in repairs],
                "clean_rows": rows,
                **({"tuning": {"tolerance": tuning["tolerance"]}} if tuning else {}),
                **self.victims.training_settings,
            },
            seeds=self.seeds.child("defense"),
        )

    def _tuning(self, repairs: tuple[Part, ...]) -> dict[str, Any]:
        """What decides about settings that the host chooses; empty where it chooses none."""
        granted = self.resolved.suite.defender.tuning
        trials = [[trial.identity for trial in part.trials] for part in repairs]
        if granted is None or not any(trials):
            return {}
        # How the clean rows are halved decides, too; before, it was by row number.
        return {"trials": trials, "tolerance": granted.tolerance, "halves": "by class"}

    def _looks_at_rows(
        self,
        kind: str,
        label: str,
        rows_of: Mapping[str, str],
        inputs: Mapping[str, str | list[str]],
        screens: tuple[Part, ...],
    ) -> str:
        """A stage over test rows: screens, a model, or both."""
        granted = self.granted_rows if needs_of(screens).clean_rows else 0
        common = {"clean_rows": granted, "precision": self.resolved.precision}
        return self.victims.stage(
            kind,
            f"{label}, {next(iter(rows_of), 'clean')} rows, {self.where}",
            inputs={**inputs, **rows_of},
            decides={
                "screens": [part.identity for part in screens],
                "model": self.model.identity,
                **common,
            },
            settings={
                "screens": [part.document for part in screens],
                "model": self.model.document,
                **common,
            },
            seeds=self.seeds.child("screen") if screens else None,
        )

    def _screened(
        self, rows_of: Mapping[str, str], screens: tuple[Part, ...], attack: Part
    ) -> str | None:
        """What screens make of rows, where they do so whatever the model is."""
        needs = needs_of(screens)
        if not screens or needs.access is not Access.NONE:
            return None
        label = "+".join(part.label for part in screens)
        inputs = self._grants(needs, attack)
        return self._looks_at_rows("screened", label, rows_of, inputs, screens)

    def _predictions(
        self,
        model: str,
        rows_of: Mapping[str, str],
        attack: Part,
        defense: ResolvedDefense | None = None,
    ) -> str:
        """A model's answers to rows.

        Args:
            model: The key of the model.
            rows_of: The key of the stage that made the rows, by ``triggered`` or
                ``variants``; empty for the clean test rows.
            attack: The attack that the rows or the model come from.
            defense: Its screens stand before the model.
        """
        screens = defense.acting(DefenseStage.SCREEN) if defense else ()
        inputs: dict[str, str | list[str]] = {"data": self.data, "model": model}
        screened = self._screened(rows_of, screens, attack)
        if screened:
            inputs["screened"] = screened
            screens = ()
        elif screens:
            inputs |= self._grants(needs_of(screens), attack)
        label = f"{attack.label} · {defense.label if defense else 'undefended'}"
        return self._looks_at_rows("predictions", label, rows_of, inputs, screens)

    # --- cells --------------------------------------------------------------------------------

    def _shared_stages(self, attack: Part) -> dict[str, str]:
        """What all defenses of an attack have in common, by role."""
        victim = self.victims.victim(attack, self.seeds.child("victim"), attack.label)
        roles = {"data": self.data, "victim": victim}
        roles["undefended_clean"] = self._predictions(victim, {}, attack)
        if attack.is_control:
            roles["control_clean"] = roles["undefended_clean"]
            return roles
        if Surface.PRETRAINED in attack.attack_spec.surfaces:
            roles["pretrained"] = self.victims.pretrained(attack)
        if Surface.WEIGHTS in attack.attack_spec.surfaces:
            roles["trained"] = self.victims.trained(
                attack, self.seeds.child("victim"), attack.label
            )
        control = self.victims.victim(self.control, self.seeds.child("victim"), self.control.label)
        if Surface.DATA in attack.attack_spec.surfaces or not attack.attack_spec.probes_victim:
            roles["poison"] = self.victims.poison(attack)
        roles["triggered"] = triggered = self.victims.triggered(attack, victim)
        rows_of = {"triggered": triggered}
        roles["undefended_triggered"] = self._predictions(victim, rows_of, attack)
        roles["floor"] = self._predictions(control, rows_of, self.control)
        roles["control_clean"] = self._predictions(control, {}, self.control)
        if attack.attack_spec.makes_variants:
            variants = {"variants": triggered}
            roles["undefended_variants"] = self._predictions(victim, variants, attack)
            roles["floor_variants"] = self._predictions(control, variants, self.control)
        metrics = self.metrics[Subject.ATTACK]
        if metrics:
            roles["attack_scores"] = self.victims.stage(
                "attack_scores",
                f"{attack.label}, {self.where}",
                inputs={"data": self.data, "triggered": triggered},
                decides={"metrics": [part.identity for part in metrics]},
                settings={"metrics": [part.document for part in metrics]},
            )
        return roles

    def _cell_stages(
        self, attack: Part, defense: ResolvedDefense, shared: Mapping[str, str]
    ) -> dict[str, str]:
        treated = self._treated(attack, defense, shared["victim"])
        roles = {**shared, "treated": treated}
        screens = defense.acting(DefenseStage.SCREEN)
        rows_of: dict[str, dict[str, str]] = {"clean": {}}
        if not attack.is_control:
            rows_of["triggered"] = {"triggered": shared["triggered"]}
        if attack.attack_spec.makes_variants:
            rows_of["variants"] = {"variants": shared["triggered"]}
        for name, made_by in rows_of.items():
            screened = self._screened(made_by, screens, attack)
            if screened:
                roles[f"screened_{name}"] = screened
            roles[f"predictions_{name}"] = self._predictions(treated, made_by, attack, defense)
        metrics = self.metrics[Subject.CELL]
        read = {"data", "triggered", "undefended_clean", "undefended_triggered", "floor"}
        read |= {"control_clean", "undefended_variants", "floor_variants", "attack_scores"}
        read |= {f"predictions_{name}" for name in rows_of}
        if defense.acting(DefenseStage.FILTER):
            read |= {"treated", "poison"}
        roles["scores"] = self.victims.stage(
            "scores",
            f"{attack.label} · {defense.label}, {self.where}",
            inputs={role: key for role, key in roles.items() if role in read},
            decides={"metrics": [part.identity for part in metrics]},
            settings={"metrics": [part.document for part in metrics]},
        )
        return roles
