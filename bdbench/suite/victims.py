"""The stages of a plan up to its victims: what is the same whatever the defense is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bdbench.api.seeds import SeedStream
from bdbench.api.specs import Surface
from bdbench.suite.identity import stage_key
from bdbench.suite.plan import Plan, Stage
from bdbench.suite.resolve import Part

__all__ = ["Victims"]

V = TypeVar("V")


class Victims:
    """The victims of one data set, model and seed, and all that is made before them.

    Methods that are named as a stage add it, with what it reads, unless it is there, and return
    its key.

    Attributes:
        where: The data set, model and seed, for people.
        data: The key of the data.
        seeds: The stream that the randomness of every stage comes from.
        training_identity: What of the training decides about a result.
        training_settings: The same as a worker needs it.
    """

    def __init__(self, plan: Plan, dataset: Part, model: Part, seed: int) -> None:
        self.plan = plan
        self.model = model
        self.where = f"{dataset.label}, {model.label}, seed {seed}"
        self.seeds = SeedStream(seed)
        self._shared: dict[tuple[str, ...], Any] = {}
        suite = plan.resolved.suite
        self.training_identity = {
            "model": model.identity,
            "recipe": suite.training.model_dump(mode="json", exclude={"precision"}),
            "precision": plan.resolved.precision,
        }
        self.training_settings = {**self.training_identity, "model": model.document}
        self.data = self.stage(
            "data",
            dataset.label,
            inputs={},
            decides={"dataset": dataset.identity, "limit": suite.limit},
            settings={"dataset": dataset.document, "limit": suite.limit},
        )

    def stage(
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

    def _once(self, name: tuple[str, ...], make: Callable[[], V]) -> V:
        """What all defenses of an attack share is worked out once: plans can be large."""
        if name not in self._shared:
            self._shared[name] = make()
        shared: V = self._shared[name]
        return shared

    def _attack_stage(
        self, kind: str, attack: Part, inputs: Mapping[str, str], *, with_model: bool
    ) -> str:
        """A stage in which the attack acts.

        Its own randomness: the same for a victim and a reference model.
        """
        trains = self.training_identity if with_model else {}
        return self.stage(
            kind,
            f"{attack.label}, {self.where}",
            inputs={"data": self.data, **inputs},
            decides={"attack": attack.identity, **trains},
            settings={"attack": attack.document, **(self.training_settings if trains else {})},
            seeds=self.seeds.child(kind),
        )

    def poison(self, attack: Part) -> str:
        """What an attack makes of the data; the triggered rows too, unless it probes."""
        model = {"base": self.base()} if attack.attack_spec.uses_model else {}
        return self._once(
            ("poison", attack.identity),
            lambda: self._attack_stage("poison", attack, model, with_model=bool(model)),
        )

    def training_inputs(self, attack: Part) -> dict[str, str]:
        """What a model is trained on under an attack, and from: poisoned where it poisons."""
        inputs = {"data": self.data}
        if Surface.DATA in attack.attack_spec.surfaces:
            inputs["poison"] = self.poison(attack)
        if Surface.PRETRAINED in attack.attack_spec.surfaces:
            inputs["pretrained"] = self.pretrained(attack)
        return inputs

    def pretrained(self, attack: Part) -> str:
        """The weights that an attack publishes, for others to start from."""
        return self._once(
            ("pretrained", attack.identity),
            lambda: self._attack_stage(
                "pretrained", attack, {"base": self.base()}, with_model=True
            ),
        )

    def trained(self, attack: Part, seeds: SeedStream, label: str) -> str:
        """A model trained under an attack, before its weights are edited."""
        tampers = Surface.TRAINING in attack.attack_spec.surfaces
        return self.stage(
            "victim",
            f"{label}, {self.where}",
            inputs=self.training_inputs(attack),
            decides=self.training_identity | ({"attack": attack.identity} if tampers else {}),
            settings=self.training_settings | ({"attack": attack.document} if tampers else {}),
            seeds=seeds,
        )

    def victim(self, attack: Part, seeds: SeedStream, label: str) -> str:
        """A model as an attack leaves it."""
        trained = self.trained(attack, seeds, label)
        if Surface.WEIGHTS not in attack.attack_spec.surfaces:
            return trained
        inputs = {"base": self.base(), "victim": trained}
        return self._attack_stage("edited", attack, inputs, with_model=True)

    def triggered(self, attack: Part, victim: str) -> str:
        """The test rows with the trigger, which may depend on what the victim answers."""
        if not attack.attack_spec.probes_victim:
            return self.poison(attack)
        inputs = {"base": self.base(), "victim": victim}
        return self._attack_stage("triggered", attack, inputs, with_model=True)

    def references(self, attack: Part) -> list[str]:
        """The models that a defender is granted to compare a victim of an attack with."""
        return self._once(("references", attack.identity), lambda: self._make_references(attack))

    def _make_references(self, attack: Part) -> list[str]:
        return [
            self.victim(
                part, self.seeds.child("reference", index), f"reference {index + 1} ({part.label})"
            )
            for index, part in enumerate(self.plan.resolved.references_for(attack))
        ]

    def base(self) -> str:
        """The model as the victim starts from it: what an attacker has."""
        return self._make_base("victim")

    def granted_base(self) -> str:
        """The pre-trained weights as a defender finds them.

        With a head of their own: how the victim's was drawn, only who trained it knows.
        """
        return self._make_base("defender's base")

    def _make_base(self, purpose: str) -> str:
        return self._once(
            ("base", purpose),
            lambda: self.stage(
                "base",
                self.where,
                inputs={"data": self.data},
                decides={"model": self.model.identity},
                settings={"model": self.model.document},
                seeds=self.seeds.child(purpose),
            ),
        )
