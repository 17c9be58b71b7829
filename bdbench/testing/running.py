"""Makes checks: of one component, or of all that a distribution brings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from bdbench.api import BdbenchError, PluginError
from bdbench.api.specs import ComponentSpec
from bdbench.host.catalog import Host
from bdbench.host.plugins import Component, LoadedPlugin, PluginState, discover
from bdbench.testing.check import Check, CheckFailedError, CheckSkipped, checks_for
from bdbench.testing.crashes import traceback_of
from bdbench.testing.expected import refuse_mistakes, refuse_unknown
from bdbench.testing.lacking import why_it_may_lack
from bdbench.testing.report import CheckReport, CheckResult, Outcome
from bdbench.testing.subject import Subject
from bdbench.testing.supplied import Supplied

__all__ = [
    "as_component",
    "check_component",
    "check_distribution",
    "components_of",
    "make_check",
    "run_check",
]


def check_component(
    component: Component | ComponentSpec,
    *,
    expected_failures: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    only: Iterable[str] = (),
) -> CheckReport:
    """Makes all checks that apply to a component.

    Args:
        component: The component, or its spec.
        expected_failures: Why a check is known to fail, by its name, besides what the
            component's author lists. A check that is listed and passes counts as failed.
        settings: What a suite would set; by default what the component's author supplies.
        only: The names of the checks to make; all if empty.

    Raises:
        InputError: No check has one of the names, or what is expected cannot be.
    """
    whole = as_component(component)
    wanted = set(only)
    chosen = checks_for(whole.spec)
    refuse_unknown(wanted)
    given = {} if expected_failures is None else expected_failures
    refuse_mistakes({whole.spec.name: given}, [whole.spec], "expected_failures")
    subject = Subject(whole, settings)
    expected = {**subject.supplied.expected_failures(), **given}
    return CheckReport(
        kind=whole.spec.kind,
        component=whole.full_name,
        version=whole.version,
        results=tuple(
            make_check(item, subject, expected.get(item.name))
            for item in chosen
            if not wanted or item.name in wanted
        ),
    )


def check_distribution(
    name: str,
    host: Host | None = None,
    tell: Callable[[Component], None] | None = None,
    only: Iterable[str] = (),
) -> list[CheckReport]:
    """Makes the checks of all components of a distribution, or of a component by its name.

    Args:
        name: A distribution, or a component's short or full name.
        host: Brings them; by default all that is installed.
        tell: Called with each component before its checks.
        only: The names of the checks to make; all if empty.

    Returns:
        A report for each component; none where a distribution brings none.

    Raises:
        PluginError: Nothing that is installed has the name, or it could not be loaded.
        InputError: What is supplied for the checks is for no component, or no check has one of
            the names.
    """
    refuse_unknown(wanted := list(only))
    reports = []
    for component in components_of(name, host):
        if tell is not None:
            tell(component)
        reports.append(check_component(component, only=wanted))
    return reports


def components_of(name: str, host: Host | None = None) -> list[Component]:
    """The components of a distribution, or those of a short or full name.

    Raises:
        PluginError: Nothing that is installed has the name, or it could not be loaded.
        InputError: What is supplied for the checks is for no component.
    """
    if host is None:
        host = Host([item for item in discover() if item[0].distribution == name] or None)
    of_distribution = [item for item in host.plugins if item.distribution == name]
    unusable = [
        item for item in of_distribution if item.state not in {PluginState.OK, PluginState.CONFLICT}
    ]
    if unusable:
        raise PluginError(
            f"the plugin is {unusable[0].state}, so there is nothing to check",
            where=unusable[0].id,
            found=unusable[0].reason,
            next="see `bdbench plugins --debug`",
        )
    if of_distribution:
        _refuse_mistakes(of_distribution)
        return [component for plugin in of_distribution for component in plugin.components]
    named = [item for item in host.components() if name in {item.spec.name, item.full_name}]
    for owner in sorted({item.distribution for item in named}):
        _refuse_mistakes([item for item in host.plugins if item.distribution == owner])
    if named:
        return named
    known = sorted({item.distribution for item in host.plugins})
    known += [item.spec.name for item in host.components()]
    close = get_close_matches(name, known, n=1)
    raise PluginError(
        "nothing that is installed has this name",
        where=name,
        expected="a plugin's distribution or a component",
        next=f"write {close[0]!r}" if close else "see `bdbench plugins` and `bdbench list`",
    )


def as_component(found: Component | ComponentSpec) -> Component:
    """A spec with who brought it, if that is known."""
    if isinstance(found, Component):
        return found
    package = found.target.partition(":")[0].partition(".")[0]
    return Component(found, package.replace("_", "-"), "0")


def _refuse_mistakes(plugins: Sequence[LoadedPlugin]) -> None:
    """Refuses what a distribution's own packages supply for none of its components."""
    packages = {plugin.module.partition(".")[0] for plugin in plugins}
    specs = [component.spec for plugin in plugins for component in plugin.components]
    for supplied in {found.place: found for found in map(Supplied, specs)}.values():
        if supplied.place.partition(".")[0] in packages:
            supplied.refuse_mistakes(specs)


def run_check(item: Check, subject: Subject) -> None:
    """Makes one check.

    Raises:
        CheckFailedError: The component does not keep to it, or asks for a module that it does
            not name among its requirements and that is not there.
        CheckSkipped: It cannot be made.
    """
    try:
        item.run(subject)
    except ModuleNotFoundError as missing:
        reason = why_it_may_lack(subject.component, missing)
        if reason:
            raise CheckSkipped(reason) from missing
        subject.fail(
            "it imports a module that is not there",
            found=str(missing),
            expected=f"a module of its own package, or of what {subject.component.distribution} "
            "names under dependencies or an extra",
        )


def make_check(item: Check, subject: Subject, expected: str | None = None) -> CheckResult:
    """Makes one check; never raises for what the component does.

    Args:
        item: The check.
        subject: What is checked.
        expected: Why it is known to fail, if it is.
    """
    start = time.perf_counter()
    error: dict[str, str] = {}
    try:
        run_check(item, subject)
    except CheckSkipped as skipped:
        outcome, reason = Outcome.SKIPPED, str(skipped)
    except CheckFailedError as failure:
        outcome, reason, error = Outcome.FAILED, _shown(failure), failure.to_dict()
        if failure.__cause__ is not None:
            error["traceback"] = traceback_of(failure.__cause__)
    # A check finds out whatever a component raises.
    except (Exception, SystemExit) as crash:  # noqa: BLE001
        outcome, reason = Outcome.FAILED, f"{type(crash).__name__}: {crash}"
        error = {
            **(crash.to_dict() if isinstance(crash, BdbenchError) else {"what": reason}),
            "traceback": traceback_of(crash),
        }
    else:
        outcome, reason = Outcome.PASSED, ""
    # A crash is not what was expected, whatever it was.
    if expected is not None and outcome is Outcome.FAILED and "traceback" not in error:
        outcome, reason = Outcome.EXPECTED_FAILURE, expected
    elif expected is not None and outcome is Outcome.PASSED:
        outcome = Outcome.UNEXPECTED_PASS
        reason = f"it passes, though it was expected to fail ({expected}): take it off the list"
    return CheckResult(item.name, outcome, reason, error, time.perf_counter() - start)


def _shown(failure: CheckFailedError) -> str:
    """The failure without where, which whoever shows it knows."""
    parts = [failure.what]
    parts += [f"found {failure.found}"] if failure.found else []
    parts += [f"expected {failure.expected}"] if failure.expected else []
    return "; ".join(parts) + (f". Next: {failure.next}" if failure.next else "")
