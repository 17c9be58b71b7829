"""One pytest test for each component and check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdbench.api import PluginError
from bdbench.api.specs import ComponentSpec
from bdbench.host.plugins import Component
from bdbench.testing.check import Check, CheckFailedError, CheckSkipped, checks_for
from bdbench.testing.expected import refuse_mistakes
from bdbench.testing.running import as_component, components_of, run_check
from bdbench.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

__all__ = ["BoundCheck", "parametrize_with_checks"]


@dataclass(frozen=True, slots=True)
class BoundCheck:
    """A check of one component; call it.

    Attributes:
        check: The check.
        subject: What it is made of.
    """

    check: Check
    subject: Subject

    @property
    def component(self) -> Component:
        """The component."""
        return self.subject.component

    def __call__(self) -> None:
        """Makes the check.

        Raises:
            CheckFailedError: The component does not keep to it.
        """
        import pytest  # noqa: PLC0415 -- only tests need it

        try:
            run_check(self.check, self.subject)
        except CheckSkipped as skipped:
            pytest.skip(str(skipped))


def parametrize_with_checks(
    components: str | Iterable[Component | ComponentSpec],
    *,
    expected_failures: Mapping[str, Mapping[str, str]] | None = None,
) -> pytest.MarkDecorator:
    """A decorator that makes of one test function a test for each component and check.

    The function takes ``check`` and calls it::

        @parametrize_with_checks("bdbench-defense-mine")
        def test_conformance(check):
            check()

    Args:
        components: A distribution that is installed, or components or specs.
        expected_failures: Why a check is known to fail, by component and check, besides what
            the plugin's module `conformance` lists. One that passes fails the test.

    Raises:
        PluginError: The distribution is not installed, could not be loaded or brings nothing.
        InputError: Something is expected of a component or check that does not exist, or what is
            supplied for the checks is for no component.
    """
    import pytest  # noqa: PLC0415 -- only tests need it

    named = components_of(components) if isinstance(components, str) else components
    found = [as_component(component) for component in named]
    if not found:
        raise PluginError(
            "there are no components, so there is nothing to check",
            where=str(components),
            expected="hooks that return specs",
            next="see `bdbench plugins`",
        )
    given = {} if expected_failures is None else expected_failures
    refuse_mistakes(given, [component.spec for component in found], "expected_failures")
    cases = []
    for component in found:
        subject = Subject(component)
        expected = {**subject.supplied.expected_failures(), **given.get(component.spec.name, {})}
        for check in checks_for(component.spec):
            reason = expected.get(check.name)
            marks = (
                [pytest.mark.xfail(reason=reason, strict=True, raises=CheckFailedError)]
                if reason is not None
                else []
            )
            name = f"{component.spec.name}-{check.name}"
            cases.append(pytest.param(BoundCheck(check, subject), marks=marks, id=name))
    return pytest.mark.parametrize("check", cases)
