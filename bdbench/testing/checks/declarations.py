"""What a spec says, against what its class is."""

from __future__ import annotations

import importlib.util
import inspect
import re
from typing import Any

from bdbench.api import (
    Attack,
    AttackMetric,
    AttackSpec,
    BdbenchError,
    Dataset,
    Defense,
    DefenseSpec,
    DefenseStage,
    EditsPretrained,
    EditsWeights,
    Executor,
    FiltersData,
    MakesVariants,
    Metric,
    MetricSpec,
    Model,
    PoisonConfig,
    PoisonsData,
    ProbesVictim,
    RepairsModel,
    Reporter,
    ScreensInputs,
    Surface,
    TampersTraining,
)
from bdbench.api import Subject as Measured
from bdbench.api.specs import ComponentSpec
from bdbench.host.plugins import discover
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.elsewhere import imported_by
from bdbench.testing.subject import Subject

HEAVY = {"torch", "transformers", "datasets", "mlflow", "pandas"}
CODED = ("attack", "defense", "metric", "model", "dataset", "reporter", "executor")
BASES: dict[str, type[Any]] = {
    "attack": Attack,
    "defense": Defense,
    "metric": Metric,
    "model": Model,
    "dataset": Dataset,
    "reporter": Reporter,
    "executor": Executor,
}
PROTOCOLS: dict[Surface | DefenseStage | str, tuple[type[Any], str]] = {
    Surface.DATA: (PoisonsData, "poison"),
    Surface.PRETRAINED: (EditsPretrained, "edit_pretrained"),
    Surface.TRAINING: (TampersTraining, "train"),
    Surface.WEIGHTS: (EditsWeights, "edit"),
    "probes_victim": (ProbesVictim, "probe"),
    "makes_variants": (MakesVariants, "variants"),
    DefenseStage.FILTER: (FiltersData, "filter"),
    DefenseStage.REPAIR: (RepairsModel, "repair"),
    DefenseStage.SCREEN: (ScreensInputs, "screen"),
}
ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s{}]+)\s*,")


@check()
def spec_is_light(subject: Subject) -> None:
    """Declaring the component imports no torch, transformers, datasets, mlflow or pandas."""
    modules = _declaring(subject)
    if not modules:
        raise CheckSkipped("it is not known which module declares it")
    try:
        found = imported_by(*modules) & HEAVY
    except RuntimeError as error:
        subject.fail(
            "the module that declares it cannot be imported alone",
            found=str(error),
            expected="a module that imports `bdbench.api` and little else",
        )
    if found:
        subject.fail(
            "declaring it imports what is slow to import",
            found=f"{', '.join(sorted(found))}, after importing {' and '.join(modules)}",
            expected="specs in hooks.py, settings in config.py, code elsewhere",
            hint="import the module with the class nowhere but in the spec's `target`",
        )


def _declaring(subject: Subject) -> list[str]:
    """The modules of entry points of its distribution, and that of its configuration."""
    found = [
        plugin.module
        for plugin, _ in discover()
        if plugin.distribution == subject.component.distribution
    ]
    if not found:
        nearby = f"{subject.spec.target.partition('.')[0]}.hooks"
        try:
            found = [nearby] if importlib.util.find_spec(nearby) else []
        except ModuleNotFoundError:
            found = []
    config = subject.spec.config.partition(":")[0]
    return [*found, *([config] if config else [])]


@check(*CODED)
def target_resolves(subject: Subject) -> None:
    """The class and its configuration can be imported, and are of the right kind."""
    host, component = subject.host, subject.component
    try:
        found = host.load_class(component)
        host.load_config(component)
    except BdbenchError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise error.__cause__ from None
        # A method that lacks is a matter of the declaration, not of the import.
        if "does not implement" not in error.what:
            subject.fail(error.what, found=error.found, expected=error.expected, hint=error.next)
        return
    base = _base(subject.spec)
    if not issubclass(found, base):
        subject.fail(
            "the class has the wrong base",
            found=", ".join(parent.__name__ for parent in found.__bases__),
            expected=f"a class that derives from bdbench.api.{base.__name__}",
        )
    if inspect.isabstract(found):
        subject.fail(
            "the class cannot be made, since methods are abstract",
            found=", ".join(sorted(found.__abstractmethods__)),
            expected="an implementation of each",
        )


def _base(spec: ComponentSpec) -> type[Any]:
    if isinstance(spec, MetricSpec) and spec.subject is Measured.ATTACK:
        return AttackMetric
    return BASES[spec.kind]


@check("attack", "defense")
def declared_matches_implemented(subject: Subject) -> None:
    """It implements what it declares, with the arguments that the host gives, and no more."""
    spec = subject.spec
    declared: set[Any] = set()
    known: list[Any] = []
    if isinstance(spec, AttackSpec):
        flags = ("probes_victim", "makes_variants")
        declared = {*spec.surfaces, *(flag for flag in flags if getattr(spec, flag))}
        known = [*Surface, *flags]
    elif isinstance(spec, DefenseSpec):
        declared, known = set(spec.stages), list(DefenseStage)
    cls = _class_without_checks(subject)
    for part in known:
        protocol, name = PROTOCOLS[part]
        method = getattr(cls, name, None)
        if part in declared and not callable(method):
            subject.fail(
                "the class does not implement what its spec declares",
                found=f"no method {name}",
                expected=f"{name}, as in bdbench.api.{protocol.__name__}, for {part}",
            )
        if part not in declared and callable(method):
            subject.fail(
                "the class implements what its spec does not declare",
                found=f"a method {name}, and no {part} in the spec",
                expected=f"{part} declared, or no such method: nobody would ever call it",
            )
        if part in declared:
            _takes_the_arguments(subject, method, getattr(protocol, name))
    if Surface.DATA in declared and not issubclass(subject.model or object, PoisonConfig):
        subject.fail(
            "an attack on data lets a suite set what all such attacks do",
            found=spec.config or "no configuration",
            expected="a configuration that derives from bdbench.api.PoisonConfig",
        )


def _class_without_checks(subject: Subject) -> type[Any]:
    module, _, name = subject.spec.target.partition(":")
    try:
        found: type[Any] = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise CheckSkipped("see target_resolves") from error
    return found


def _takes_the_arguments(subject: Subject, method: Any, wanted: Any) -> None:
    names = list(inspect.signature(wanted).parameters)
    try:
        inspect.signature(method).bind(*names)
    except TypeError as error:
        subject.fail(
            "a method does not take the arguments that the host gives",
            found=f"{method.__name__}{inspect.signature(method)}: {error}",
            expected=f"{method.__name__}({', '.join(names)})",
        )


@check("metric")
def direction_declared(subject: Subject) -> None:
    """Every value is listed once, with its direction and a summary."""
    spec = subject.spec
    if not isinstance(spec, MetricSpec) or not spec.values:
        subject.fail("a metric must list the values that it gives", found="none")
    names = [value.name for value in spec.values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        subject.fail("a value is listed twice", found=", ".join(twice))
    for value in spec.values:
        if not value.summary:
            subject.fail(f"{value.name} has no summary")


@check(when=lambda spec: bool(spec.citation.strip()))
def citation_parses(subject: Subject) -> None:
    """The citation is BibTeX, each entry with author, title and year."""
    text = subject.spec.citation
    entries = list(_entries(text))
    if not entries:
        subject.fail(
            "the citation is not BibTeX",
            found=repr(text[:60]),
            expected="@article{key, ...} or the like",
        )
    for key, body in entries:
        if body is None:
            subject.fail(f"a brace of the BibTeX entry {key} is not closed")
        fields = {name.lower() for name in re.findall(r"(\w+)\s*=\s*[{\"\d]", body)}
        lacking = [name for name in ("title", "year") if name not in fields]
        if not fields & {"author", "editor", "organization"}:
            lacking.append("author")
        if lacking:
            subject.fail(
                f"the BibTeX entry {key} is not complete",
                found=", ".join(sorted(fields)),
                expected=f"also {', '.join(lacking)}",
            )


def _entries(text: str) -> list[tuple[str, str | None]]:
    """Key and body of each entry; no body where a brace is not closed."""
    found: list[tuple[str, str | None]] = []
    for head in ENTRY.finditer(text):
        depth = 1
        for place in range(head.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                found.append((head[2], text[head.end() : place]))
                break
        else:
            found.append((head[2], None))
    return found
