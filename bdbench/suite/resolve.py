"""From a suite's entries to configured components with identities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bdbench.api.config import ComponentConfig, DefenseConfig
from bdbench.api.errors import InputError
from bdbench.api.needs import Access, Needs
from bdbench.api.specs import (
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    MetricSpec,
    Subject,
)
from bdbench.home import expanded
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.host.digest import code_digest
from bdbench.host.plugins import Component
from bdbench.suite.identity import component_identity, digest_json, with_paths
from bdbench.suite.pinned import PINNED, check_plugins
from bdbench.suite.reader import Document
from bdbench.suite.schema import CONTROL, Entry, Suite

__all__ = [
    "Part",
    "ResolvedDefense",
    "ResolvedSuite",
    "needs_of",
    "precision_of",
    "resolve",
    "task_of",
]


@dataclass(frozen=True, slots=True)
class Part:
    """A configured component.

    Attributes:
        label: Its name in the suite.
        component: Who brings it.
        config: Its settings.
        code: Digest of its code.
        identity: Digest of all that it contributes to a result.
        document: What a worker needs to build it again; under ``trials`` the settings that the
            host may try, if the suite grants that.
        trials: The parts with the settings to try; one of them is what runs.
    """

    label: str
    component: Component
    config: ComponentConfig
    code: str
    identity: str
    document: Mapping[str, Any]
    trials: tuple[Part, ...] = ()

    @property
    def is_control(self) -> bool:
        """Whether this is an attack that touches nothing."""
        spec = self.component.spec
        return isinstance(spec, AttackSpec) and not spec.surfaces

    @property
    def attack_spec(self) -> AttackSpec:
        """What an attack declares."""
        spec = self.component.spec
        if not isinstance(spec, AttackSpec):
            raise TypeError(f"{self.label} is no attack")
        return spec


@dataclass(frozen=True, slots=True)
class ResolvedDefense:
    """A composition of defenses.

    Attributes:
        label: Its name in the suite.
        parts: In the order in which they act.
        needs: What all of them together need, with these settings.
    """

    label: str
    parts: tuple[Part, ...]
    needs: Needs

    @property
    def identity(self) -> str:
        """Digest of all that it contributes to a result: at each stage, what acts and in order."""
        acting = [self.acting(stage) for stage in DefenseStage]
        return digest_json([[part.identity for part in parts] for parts in acting])

    @property
    def is_baseline(self) -> bool:
        """Whether this is a defense that does nothing: it acts at no stage."""
        return not any(_stages(part) for part in self.parts)

    def acting(self, stage: DefenseStage) -> tuple[Part, ...]:
        """The parts that act at a stage, in order."""
        return tuple(part for part in self.parts if stage in _stages(part))


Same = TypeVar("Same", Part, ResolvedDefense)


@dataclass(frozen=True, slots=True)
class ResolvedSuite:
    """A suite whose every component is found, configured and identified."""

    suite: Suite
    datasets: tuple[Part, ...]
    models: tuple[Part, ...]
    attacks: tuple[Part, ...]
    defenses: tuple[ResolvedDefense, ...]
    metrics: tuple[Part, ...]
    references: tuple[str | Part, ...]
    precision: str

    def metrics_of(self, subject: Subject) -> tuple[Part, ...]:
        """The metrics that measure cells, or attacks."""
        return tuple(
            part
            for part in self.metrics
            if isinstance(part.component.spec, MetricSpec)
            and part.component.spec.subject is subject
        )

    def components(self) -> list[Component]:
        """All components that it names, some of them more than once."""
        parts = [*self.datasets, *self.models, *self.attacks, *self.metrics]
        parts += [part for defense in self.defenses for part in defense.parts]
        parts += [item for item in self.references if not isinstance(item, str)]
        return [part.component for part in parts]

    def references_for(self, attack: Part) -> list[Part]:
        """The attacks behind the reference models that the cells of an attack are granted.

        As many for the control as for every attack, since a defense could tell them apart by
        their number: where a suite has one attack only, there is no other one for anybody.
        """
        control = next(part for part in self.attacks if part.is_control)
        attacks = [part for part in self.attacks if not part.is_control]
        others = [part for part in attacks if part.identity != attack.identity]
        chosen = []
        for item in self.references:
            if isinstance(item, Part):
                chosen.append(item)
            elif item == CONTROL:
                chosen.append(control)
            elif len(attacks) > 1:
                chosen.append(others[0])
        return chosen

    def document(self) -> dict[str, Any]:
        """The suite with every default filled in, as plain data."""

        def write(part: Part) -> dict[str, Any]:
            return {"name": part.label, part.component.full_name: part.document["config"]}

        return {
            "name": self.suite.name,
            "summary": self.suite.summary,
            "seeds": list(self.suite.seeds),
            "datasets": [write(part) for part in self.datasets],
            "models": [write(part) for part in self.models],
            "attacks": [write(part) for part in self.attacks],
            "defenses": [[write(part) for part in item.parts] for item in self.defenses],
            "metrics": [write(part) for part in self.metrics],
            "defender": {
                **self.suite.defender.model_dump(),
                "references": [
                    item if isinstance(item, str) else write(item) for item in self.references
                ],
            },
            "training": {**self.suite.training.model_dump(), "precision": self.precision},
            "gates": self.suite.gates.model_dump(),
            "plugins": self.suite.plugins,
            "limit": self.suite.limit,
        }


def resolve(suite: Suite, host: Host) -> ResolvedSuite:
    """Finds and configures everything that a suite names.

    Raises:
        PluginError: A component is unknown, or its plugin is broken, or the suite demands pinned
            plugins and one is not.
        InputError: Settings do not fit, or a file that they name cannot be read.
    """
    if suite.plugins == PINNED:
        check_plugins(host.plugins, where=suite.document.where(("plugins",)))

    def part(kind: str, entry: Entry) -> Part:
        found = _part(host, kind, entry, suite.document)
        tuning = suite.defender.tuning
        return _with_trials(host, found, entry, suite.document, tuning.trials) if tuning else found

    return ResolvedSuite(
        suite=suite,
        datasets=_distinct("datasets", [part("dataset", entry) for entry in suite.datasets]),
        models=_distinct("models", [part("model", entry) for entry in suite.models]),
        attacks=_distinct("attacks", [part("attack", entry) for entry in suite.attacks]),
        defenses=_distinct(
            "defenses",
            [
                _defense(label, tuple(part("defense", entry) for entry in entries))
                for label, entries in suite.defenses
            ],
        ),
        metrics=_telling_apart([part("metric", entry) for entry in suite.metrics]),
        references=tuple(
            item if isinstance(item, str) else part("attack", item) for item in suite.references
        ),
        precision=precision_of(suite.training.precision),
    )


def _part(host: Host, kind: str, entry: Entry, document: Document) -> Part:
    component = host.find(kind, entry.component, where=entry.where)
    settings = f"{entry.where}.{entry.component}"
    config = configure(host, component, entry.config, where=settings)
    config = _with_absolute_paths(config, document.folder, settings)
    code = code_digest(component)
    identity = component_identity(
        component.full_name, component.spec.revision, code, config, where=settings
    )
    return Part(
        label=entry.label,
        component=component,
        config=config,
        code=code,
        identity=identity,
        document={
            "kind": kind,
            "label": entry.label,
            "component": component.full_name,
            "config": config.model_dump(mode="json"),
            "identity": identity,
        },
    )


def _with_trials(host: Host, part: Part, entry: Entry, document: Document, count: int) -> Part:
    """The part with settings to try: of its grid, what the suite itself leaves open."""
    spec = part.component.spec
    grid = spec.grid if isinstance(spec, DefenseSpec) else ()
    free = [settings for settings in grid if not settings.keys() & entry.config.keys()]
    if len(free) < 2:
        return part
    steps = min(count, len(free)) - 1
    tried = [free[round(step * (len(free) - 1) / steps)] for step in range(steps + 1)]
    parts = [_trial(host, entry, settings, document) for settings in tried]
    trials = [
        {"tried": dict(settings), **{name: trial.document[name] for name in ("config", "identity")}}
        for settings, trial in zip(tried, parts, strict=True)
    ]
    return replace(
        part,
        document={**part.document, "trials": trials},
        trials=tuple(parts),
    )


def _trial(host: Host, entry: Entry, settings: Mapping[str, Any], document: Document) -> Part:
    try:
        return _part(host, "defense", replace(entry, config={**entry.config, **settings}), document)
    except InputError as error:
        raise InputError(
            "tuning cannot try a defense's settings with those of the suite",
            where=f"{entry.where}, defender.tuning",
            found=f"{json.dumps(dict(settings))}: {error}",
            expected="settings that leave open what is tried",
            next="take out the setting that it names, or set what would be tried",
        ) from error


def _distinct(key: str, found: list[Same]) -> tuple[Same, ...]:
    """Refuses the same thing under two labels: their cells would be one cell twice."""
    labels: dict[str, str] = {}
    for item in found:
        if item.identity in labels:
            raise InputError(
                "two entries are the same thing under different names",
                where=key,
                found=f"{labels[item.identity]} and {item.label}",
                expected="different components or settings",
                next=f"take {item.label} out",
            )
        labels[item.identity] = item.label
    return tuple(found)


def _telling_apart(metrics: list[Part]) -> tuple[Part, ...]:
    """Refuses two metrics that give values of one name, before anything is trained for them."""
    given: dict[tuple[str, bool], str] = {}
    for part in metrics:
        spec = part.component.spec
        for value in spec.values if isinstance(spec, MetricSpec) else ():
            other = given.setdefault((value.name, value.per_class), part.label)
            if other != part.label:
                raise InputError(
                    "two metrics give a value of the same name",
                    where="metrics",
                    found=f"{value.name} of {other} and of {part.label}",
                    expected="each name once in a suite",
                    next=f"take {part.label} out",
                )
    return tuple(metrics)


def _with_absolute_paths(config: ComponentConfig, folder: Path, where: str) -> ComponentConfig:
    """Relative paths start at the suite's folder; ``~`` is the user's home."""
    data = with_paths(config, lambda path, place: str(folder / expanded(path, f"{where}.{place}")))
    return type(config).model_validate_json(json.dumps(data))


def _stages(part: Part) -> frozenset[DefenseStage]:
    spec = part.component.spec
    return spec.stages if isinstance(spec, DefenseSpec) else frozenset()


def _defense(label: str, parts: tuple[Part, ...]) -> ResolvedDefense:
    if len(parts) > 1 and (idle := [part.label for part in parts if not _stages(part)]):
        raise InputError(
            "a part of a composition does nothing",
            where=f"defenses: {label}",
            found=", ".join(idle),
            expected="defenses that act; the rest alone is the same defense",
            next=f"take {idle[0]} out of the list",
        )
    return ResolvedDefense(label, parts, needs_of(parts))


def needs_of(parts: Iterable[Part]) -> Needs:
    """What defenses together need, with their settings."""
    needs = Needs()
    for part in parts:
        spec = part.component.spec
        declared = spec.needs if isinstance(spec, DefenseSpec) else Needs()
        for config in [trial.config for trial in part.trials] or [part.config]:
            needs |= config.needs(declared) if isinstance(config, DefenseConfig) else declared
        # What a stage hands out is needed, whatever settings say.
        needs |= Needs(
            access=Access.WEIGHTS if DefenseStage.REPAIR in _stages(part) else Access.NONE,
            training_data=DefenseStage.FILTER in _stages(part),
        )
    return needs


def task_of(dataset: Part) -> str:
    """The task of a data set, where it is known before the data are read, else empty."""
    spec = dataset.component.spec
    return spec.task if isinstance(spec, DatasetSpec) else ""


def precision_of(wanted: str) -> str:
    """The arithmetic that ``auto`` stands for here, found out without importing torch."""
    if wanted != "auto":
        return wanted
    if Path("/dev/nvidiactl").exists():
        return "bf16"
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return "fp32"
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"
