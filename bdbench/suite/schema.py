"""What a suite may say, and how it is read into entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bdbench.api import Recipe
from bdbench.api.errors import InputError
from bdbench.api.needs import Access
from bdbench.host.configure import validate
from bdbench.suite.reader import Document, Place

__all__ = [
    "CONTROL",
    "OTHER",
    "Defender",
    "Entry",
    "Gates",
    "Suite",
    "SuiteFields",
    "Training",
    "Tuning",
    "parse_entry",
    "parse_suite",
    "read_entry",
]

CONTROL = "control"
OTHER = "other"
BASELINES = {"none", "bdbench/none"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tuning(_Part):
    """A budget for settings: the same for every defense, spent on its own clean rows only."""

    trials: int = Field(ge=2, description="How many settings of a defense's grid are tried.")
    on: Literal["clean"] = Field(
        default="clean", description="What they are judged by: half of the clean rows."
    )
    tolerance: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="How much accuracy on them may be lost; the strongest setting that keeps "
        "the rest is taken.",
    )


class Defender(_Part):
    """What every defense is granted; each is handed what it declares to need of it."""

    clean_rows: int = Field(
        default=64,
        ge=0,
        description="Labelled clean rows, drawn class by class in turn from rows that are in "
        "neither the training nor the test split. A smaller number is part of a larger one.",
    )
    references: list[Any] = Field(
        default=[CONTROL, OTHER],
        description="Models to merge with, trained by the host with other seeds: `control` "
        "(never attacked), `other` (the suite's first attack that is not the cell's), or an "
        "attack written as under `attacks`.",
    )
    base_weights: bool = Field(
        default=True, description="Whether the clean pre-trained weights may be had."
    )
    training_data: bool = Field(
        default=False, description="Whether the victim's (poisoned) training rows may be had."
    )
    access: Literal["outputs", "gradients", "weights"] = Field(
        default="weights", description="How far into the victim a defense may reach."
    )

    tuning: Tuning | None = Field(
        default=None,
        description="Lets the host choose repairs' settings that the suite does not set.",
    )

    @property
    def access_level(self) -> Access:
        """`access` as a level that can be compared."""
        return Access[self.access.upper()]


class Training(Recipe):
    """How every victim is trained."""

    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto",
        description="Arithmetic of training and evaluation: bf16 autocast or fp32; `auto` is "
        "bf16 where the processor has it. The choice made is part of the identity.",
    )


class Gates(_Part):
    """When an attack counts as one that took, and a defense as one; others are shown, not ranked.

    Part of no identity: what was computed stays what it is when they are set otherwise.
    """

    asr_over_floor: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How far the attack's success on the undefended victim must be above that on "
        "the control.",
    )
    accuracy_under_control: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="How far the undefended victim's clean accuracy may be under the control's.",
    )
    accuracy_under_victim: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How far a defense may bring clean accuracy under the undefended victim's: a "
        "model that is good for nothing has no backdoor either.",
    )


class SuiteFields(_Part):
    """The keys of a suite's file."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Small letters, digits, `-`, `_`, `.`; MLflow's experiment bears it.",
    )
    summary: str = Field(default="", description="One line.")
    seeds: list[int] = Field(
        default=[0], min_length=1, description="One repetition of everything for each."
    )
    datasets: list[Any] = Field(min_length=1, description="Data sets.")
    models: list[Any] = Field(min_length=1, description="Victim models.")
    attacks: list[Any] = Field(min_length=1, description="Attacks; the control is always added.")
    defenses: list[Any] = Field(
        min_length=1,
        description="Defenses; a list within the list is a composition; `none` is always added.",
    )
    metrics: list[Any] = Field(
        default=["classification"], min_length=1, description="What is measured."
    )
    defender: Defender = Defender()
    training: Training = Training()
    gates: Gates = Gates()
    plugins: Literal["any", "pinned"] = Field(
        default="any",
        description="`pinned`: refuse to run while a plugin is installed (and not left out) whose "
        "files are not those that the registry pins. Part of no identity.",
    )
    limit: int | None = Field(
        default=None, ge=2, description="At most so many rows of each split, for a quick look."
    )

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("distinct numbers, none negative")
        return seeds


@dataclass(frozen=True, slots=True)
class Entry:
    """A component as a suite names it.

    Attributes:
        label: How it is called in tables; the component's name unless ``name:`` is given.
        component: Short or full name.
        config: What is set.
        where: File, line and key, for messages.
    """

    label: str
    component: str
    config: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as written, checked for form; whether its components exist is not yet known.

    Attributes:
        name: The suite's name.
        summary: One line.
        seeds: The repetitions.
        datasets: One entry each, likewise `models`, `attacks`, `metrics`.
        defenses: Each a composition of one or more entries, with its label.
        references: `CONTROL`, `OTHER` or an attack.
        defender: What is granted.
        training: The recipe.
        gates: When an attack counts as one that took.
        plugins: ``any``, or only ``pinned`` ones.
        limit: At most so many rows of each split.
        document: Where it was read from.
    """

    name: str
    summary: str
    seeds: tuple[int, ...]
    datasets: tuple[Entry, ...]
    models: tuple[Entry, ...]
    attacks: tuple[Entry, ...]
    defenses: tuple[tuple[str, tuple[Entry, ...]], ...]
    metrics: tuple[Entry, ...]
    references: tuple[str | Entry, ...]
    defender: Defender
    training: Training
    gates: Gates
    plugins: str
    limit: int | None
    document: Document

    @property
    def clean_rows(self) -> int:
        """How many clean rows a defender is granted: no more than a limit leaves."""
        rows = self.defender.clean_rows
        return rows if self.limit is None else min(rows, self.limit)


def parse_suite(document: Document) -> Suite:
    """Checks the form of a suite.

    Raises:
        InputError: Names the file, the line and the key that do not fit.
    """
    data = document.data
    if not isinstance(data, dict):
        raise InputError(
            "a suite is a mapping",
            where=document.source,
            found=type(data).__name__,
            expected="keys such as name, datasets, models, attacks and defenses",
            next="`bdbench show quickstart` prints one",
        )
    fields = _validate_fields(document, data)
    attacks = tuple(_entries(document, "attacks", fields.attacks, baseline=True))
    references = tuple(
        item
        if item in (CONTROL, OTHER)
        else read_entry(document, ("defender", "references", index), item)
        for index, item in enumerate(fields.defender.references)
    )
    return Suite(
        name=fields.name,
        summary=fields.summary,
        seeds=tuple(fields.seeds),
        datasets=tuple(_entries(document, "datasets", fields.datasets)),
        models=tuple(_entries(document, "models", fields.models)),
        attacks=attacks,
        defenses=tuple(_compositions(document, fields.defenses)),
        metrics=tuple(_entries(document, "metrics", fields.metrics)),
        references=references,
        defender=fields.defender,
        training=fields.training,
        gates=fields.gates,
        plugins=fields.plugins,
        limit=fields.limit,
        document=document,
    )


def _validate_fields(document: Document, data: dict[str, Any]) -> SuiteFields:
    try:
        return validate(SuiteFields, data, where="", hint="bdbench show --suite-keys")
    except InputError as error:
        place = tuple(part for part in error.where.split(".") if part)
        typed = tuple(int(part) if part.isdecimal() else part for part in place)
        error.where = document.where(typed)
        raise


def _entries(
    document: Document, key: str, items: list[Any], *, baseline: bool = False
) -> Iterator[Entry]:
    entries = [read_entry(document, (key, index), item) for index, item in enumerate(items)]
    if baseline and not any(entry.component in BASELINES for entry in entries):
        entries.insert(0, _baseline(document, key))
    _refuse_twins(document, (key,), [entry.label for entry in entries])
    yield from entries


def _compositions(document: Document, items: list[Any]) -> Iterator[tuple[str, tuple[Entry, ...]]]:
    found = []
    for index, item in enumerate(items):
        place = ("defenses", index)
        if isinstance(item, list) and item:
            parts = tuple(read_entry(document, (*place, at), part) for at, part in enumerate(item))
            # What each of them notes is told by its name.
            _refuse_twins(document, place, [part.label for part in parts])
            found.append(("+".join(part.label for part in parts), parts))
        else:
            entry = read_entry(document, place, item)
            found.append((entry.label, (entry,)))
    if not any(len(parts) == 1 and parts[0].component in BASELINES for _, parts in found):
        found.insert(0, ("none", (_baseline(document, "defenses"),)))
    _refuse_twins(document, ("defenses",), [label for label, _ in found])
    yield from found


def _baseline(document: Document, key: str) -> Entry:
    """Under its full name: a plugin that claims the short one must not take it away."""
    return Entry("none", "bdbench/none", {}, document.where((key,)))


def _refuse_twins(document: Document, place: Place, labels: list[str]) -> None:
    twins = sorted({label for label in labels if labels.count(label) > 1})
    if twins:
        raise InputError(
            "two entries bear the same name",
            where=document.where(place),
            found=", ".join(twins),
            expected="a name of its own for each",
            next=f"add `name: {twins[0]}-2` beside one of them",
        )


def read_entry(document: Document, place: Place, item: Any) -> Entry:
    """An entry of a list of components.

    Raises:
        InputError: It is neither a name nor a name with settings.
    """
    where = document.where(place)
    if isinstance(item, str):
        return _named(item, None, {}, where)
    if isinstance(item, dict):
        label = item.get("name")
        rest = {key: value for key, value in item.items() if key != "name"}
        if len(rest) == 1 and (label is None or isinstance(label, str)):
            ((component, config),) = rest.items()
            if config is None or isinstance(config, dict):
                return _named(component, label, config or {}, where)
    raise InputError(
        "an entry does not fit",
        where=where,
        found=repr(item)[:120],
        expected="`name`, or `name: {settings}`, with `name: label` beside it if you like",
        next="`bdbench show quickstart` prints a suite with such entries",
    )


def parse_entry(text: str, *, where: str) -> Entry:
    """An entry written as one word, outside a suite."""
    return _named(text, None, {}, where)


def _named(text: str, label: str | None, config: Mapping[str, Any], where: str) -> Entry:
    """An entry; ``hf:org/name@revision`` and ``./folder`` are short for built-in components."""
    if text.startswith("hf:"):
        name, _, revision = text.removeprefix("hf:").partition("@")
        if not revision:
            raise InputError(
                "a name on the hub needs a revision, or results could not be reproduced",
                where=where,
                found=text,
                expected=f"hf:{name}@<commit>",
                next=f"look up the commit on the hub's page and write `- hf:{name}@<commit>`",
            )
        config = {"name": name, "revision": revision, **config}
        return Entry(label or name.rpartition("/")[2], "bdbench/hub", config, where)
    if text.startswith((".", "/", "~")):
        path = text.rstrip("/")
        return Entry(
            label or path.rpartition("/")[2], "bdbench/folder", {"path": path, **config}, where
        )
    return Entry(label or text.rpartition("/")[2], text, config, where)
