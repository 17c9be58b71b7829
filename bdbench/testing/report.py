"""What came of checks, as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdbench.testing.check import CheckFailedError

__all__ = ["CheckReport", "CheckResult", "Outcome"]


class Outcome(enum.StrEnum):
    """How a check ended.

    Attributes:
        PASSED: The component keeps to the rule.
        FAILED: It does not.
        SKIPPED: It could not be told.
        EXPECTED_FAILURE: It does not, and whoever checks had said so and why.
        UNEXPECTED_PASS: It does, though it was expected not to: counts as a failure.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "expected failure"
    UNEXPECTED_PASS = "unexpected pass"  # noqa: S105 -- no password


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of one check.

    Attributes:
        check: Its name.
        outcome: How it ended.
        reason: Why, unless it passed.
        error: Of a failure: ``what``, ``where``, ``found``, ``expected``, ``next``; of a crash
            also ``traceback``.
        seconds: Wall time.
    """

    check: str
    outcome: Outcome
    reason: str = ""
    error: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done about it."""
        return self.outcome not in {Outcome.FAILED, Outcome.UNEXPECTED_PASS}


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What came of all checks of a component.

    Attributes:
        kind: The component's kind.
        component: Its full name.
        version: Its distribution's version.
        results: By check, in the order in which they were made.
    """

    kind: str
    component: str
    version: str
    results: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done about it."""
        return all(result.ok for result in self.results)

    def of(self, outcome: Outcome) -> list[CheckResult]:
        """The results that ended in a way."""
        return [result for result in self.results if result.outcome is outcome]

    @property
    def failed(self) -> list[CheckResult]:
        """What has to be mended: failures, and passes that nobody expected."""
        return [result for result in self.results if not result.ok]

    def raise_for_failures(self) -> None:
        """Raises if any check failed, with all that failed.

        Raises:
            CheckFailedError: Names each.
        """
        if self.ok:
            return
        raise CheckFailedError(
            f"{len(self.failed)} of {len(self.results)} checks failed",
            where=self.component,
            found="; ".join(f"{result.check}: {result.reason}" for result in self.failed),
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "kind": self.kind,
            "component": self.component,
            "version": self.version,
            "ok": self.ok,
            "checks": [
                {
                    "check": result.check,
                    "outcome": result.outcome.value,
                    "reason": result.reason,
                    "error": dict(result.error),
                    "seconds": round(result.seconds, 3),
                }
                for result in self.results
            ],
        }
