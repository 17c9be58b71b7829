"""What a suite may set, and what making the component does."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bdbench.api import ComponentConfig, DefenseSpec, InputError
from bdbench.api.specs import ComponentSpec
from bdbench.host.configure import validate
from bdbench.testing.audit import effects
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.checks.declarations import CODED
from bdbench.testing.scene import shaken
from bdbench.testing.subject import Subject

STRANGE = "no_plugin_has_such_a_key"


def _configurable(spec: ComponentSpec) -> bool:
    return bool(spec.config)


def _model(subject: Subject) -> type[Any]:
    found = subject.model
    if found is None:
        raise CheckSkipped("it has nothing to set")
    return found


@check(*CODED, when=_configurable)
def config_forbids_unknown(subject: Subject) -> None:
    """A key that means nothing is refused, also within other settings; nothing can be changed."""
    model = _model(subject)
    if not issubclass(model, ComponentConfig):
        subject.fail(
            "the configuration has the wrong base",
            found=", ".join(base.__name__ for base in model.__bases__),
            expected="a class that derives from bdbench.api.ComponentConfig",
        )
    for place, part in _models(model, model.__name__):
        if part.model_config.get("extra") != "forbid":
            subject.fail(
                "a misspelled setting would be passed over in silence",
                found=f"extra={part.model_config.get('extra')!r} in {place}",
                expected="extra='forbid', as in bdbench.api.ComponentConfig",
            )
        if not part.model_config.get("frozen"):
            subject.fail(
                "settings can be changed after they were validated",
                found=f"{place} is not frozen",
                expected="frozen=True, as in bdbench.api.ComponentConfig",
            )
    with contextlib.suppress(InputError):
        subject.configured({STRANGE: 1})
        subject.fail("an unknown setting was accepted", found=f"{STRANGE}: 1")


@check(*CODED, when=_configurable)
def config_fields_described(subject: Subject) -> None:
    """Every setting has a description, which `bdbench show` prints."""
    for place, part in _models(_model(subject), ""):
        for name, field in part.model_fields.items():
            if not (field.description or "").strip():
                subject.fail(
                    "a setting has no description",
                    found=f"{place}.{name}".lstrip("."),
                    expected="Field(..., description=...)",
                )


@check(*CODED, when=_configurable)
def config_round_trips(subject: Subject) -> None:
    """Settings, written as JSON with every default filled in, give the same settings again."""
    model = _model(subject)
    why_not = subject.why_not_configured()
    if why_not:
        raise CheckSkipped(why_not)
    try:
        once = subject.configured({})
    except InputError as error:
        subject.fail(
            "the settings for the checks do not fit",
            found=str(error),
            expected="what a suite might write",
            hint=f"mend SETTINGS in {subject.supplied.place}",
        )
    written = once.model_dump(mode="json")
    try:
        again = validate(model, written, where=subject.spec.name, hint="")
    except InputError as error:
        subject.fail(
            "settings that were accepted are refused when every default is written out",
            found=str(error),
            expected="the same settings: a run is recorded and repeated in this form",
        )
    if again.model_dump(mode="json") != written:
        subject.fail(
            "settings change when they are written out and read again",
            found=str(_first_difference(written, again.model_dump(mode="json"))),
            expected="the same settings",
        )


def _first_difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    for key, value in one.items():
        if other.get(key) != value:
            return f"{key}: {value!r}, then {other.get(key)!r}"
    return "further keys"


@check(*CODED)
def init_has_no_effects(subject: Subject) -> None:
    """Making the object stores the configuration and does nothing else."""
    config = subject.config
    cls = subject.cls
    with shaken(1) as drawn, effects() as touched:
        made = cls(config)
    if touched:
        subject.fail(
            "making the object touches files, processes or the network",
            found="; ".join(touched[:3]),
            expected="that to happen where it first acts",
        )
    if drawn:
        subject.fail("making the object draws from a global generator", found=", ".join(drawn))
    if getattr(made, "config", None) is not config:
        subject.fail(
            "the object does not keep its configuration",
            found=repr(getattr(made, "config", None))[:80],
            expected="the object that it was given, as self.config",
        )


@check("defense", when=lambda spec: bool(spec.grid))
def grid_settings_are_valid(subject: Subject) -> None:
    """Each of the settings that the host may try for a budget is accepted, and differs."""
    spec = subject.spec
    if not isinstance(spec, DefenseSpec):
        return
    subject.config  # noqa: B018 -- skips where it cannot be configured
    seen: list[Any] = []
    for number, settings in enumerate(spec.grid):
        try:
            config = subject.configured(settings)
        except InputError as error:
            subject.fail(
                f"setting {number} of the grid is refused",
                found=f"{dict(settings)}: {error}",
                expected="settings that a suite might write",
            )
        if config in seen:
            subject.fail(
                f"setting {number} of the grid is the same as one before",
                found=f"{dict(settings)}",
            )
        seen.append(config)


def _models(model: type[Any], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """A configuration and those within it, each with its place."""
    seen: set[type[Any]] = set()
    waiting = [(place, model)]
    while waiting:
        where, found = waiting.pop()
        if found in seen:
            continue
        seen.add(found)
        yield where, found
        for name, field in found.model_fields.items():
            waiting += [(f"{where}.{name}", part) for part in _within(field.annotation)]


def _within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _within(part)
