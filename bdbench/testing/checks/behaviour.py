"""What any component does when it acts."""

from __future__ import annotations

from bdbench.api import NotGrantedError
from bdbench.testing.acts_attacks import TEST_ROWS
from bdbench.testing.check import CheckFailedError, CheckSkipped, check
from bdbench.testing.checks.declarations import declared_matches_implemented
from bdbench.testing.elsewhere import elsewhere
from bdbench.testing.subject import ACTING, Subject
from bdbench.testing.traces import differences

SHOWN = 5
"""How many names a message lists."""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


@check(*ACTING)
def runs_on_cpu(subject: Subject) -> None:
    """In a tiny world, offline and without a GPU, it does all that it declares."""
    subject.config, subject.cls  # noqa: B018 -- skips where others tell of it
    try:
        subject.first  # noqa: B018
    except CheckSkipped:
        error = subject.why_not()
        if error is None or isinstance(error, CheckSkipped):
            raise
        if isinstance(error, NotGrantedError) and subject.spec.kind == "defense":
            raise
        if isinstance(error, ModuleNotFoundError):
            raise error from None
        _well_declared(subject)
        subject.fail(
            f"it ended with {type(error).__name__}",
            found=subject.crashed(error),
            expected="to get to the end in a tiny world",
            hint="if it is about settings, supply others for the checks under SETTINGS in "
            f"{subject.supplied.place}",
            crash=error,
        )


def _well_declared(subject: Subject) -> None:
    """Skips where the host could not even have called it."""
    if subject.spec.kind not in {"attack", "defense"}:
        return
    try:
        declared_matches_implemented(subject)
    except CheckFailedError as failure:
        raise CheckSkipped("see declared_matches_implemented") from failure


@check(*ACTING)
def runs_for_each_task(subject: Subject) -> None:
    """It gets to the end in the tiny world of every task that it says it works for."""
    first = subject.first
    others = [task for task in subject.tasks if subject.world_of(task) is not subject.world]
    if not others:
        raise CheckSkipped(f"there is one tiny world for it, {subject.tasks[0]}")
    for task in others:
        try:
            found = subject.act(world=subject.world_of(task))
        except CheckSkipped:
            raise
        except ModuleNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is told of
            subject.fail(
                f"it does not work for {task}",
                found=f"{type(error).__name__}: {subject.crashed(error)}",
                expected="a task that it does not work for left out of `tasks` in its spec",
                crash=error,
            )
        if type(found.run) is not type(first.run):
            subject.fail(f"it does something else for {task}")


@check(*ACTING)
def global_rng_untouched(subject: Subject) -> None:
    """It neither draws from nor seeds the generators that all code of a process shares."""
    # By then, everything is imported: what libraries draw when they are, is no fault of it.
    drawn = subject.second.drawn
    if drawn:
        subject.fail(
            "global random state was touched",
            found=", ".join(drawn),
            expected="randomness from the seeds that it is given: seeds.random(), or a generator "
            "of its own started from seeds.seed()",
        )


@check(*ACTING)
def inputs_not_mutated(subject: Subject) -> None:
    """What it is given (rows, models, settings) is afterwards what it was."""
    # Of test rows, clean_test_untouched tells.
    changed = [name for name in subject.first.changed if not name.startswith(TEST_ROWS)]
    if changed:
        subject.fail(
            "it changed what it was given",
            found=_listed(changed),
            expected="a new object, or a new folder below the workspace",
        )


@check("attack", "defense", "metric")
def stays_within_its_box(subject: Subject) -> None:
    """It writes to its workspace, connects to nothing, sets no environment variable or folder."""
    found = dict.fromkeys([*subject.first.trespasses, *subject.second.trespasses])
    if found:
        subject.fail(
            "it reaches beyond what it is given",
            found=_listed(list(found)),
            expected="files below the workspace or the temporary folder and nothing else: that is "
            "all there is in the box where it acts",
        )


@check(*ACTING)
def same_seed_same_result(subject: Subject) -> None:
    """With the same seed it does the same, whatever the global generators stand at."""
    found = differences(subject.first.results, subject.second.results)
    if found:
        subject.fail(
            "the same seed gave another result",
            found=f"differences in {_listed(found)}",
            expected="nothing random but what comes from the seeds that it is given",
        )


@check(*ACTING)
def survives_subprocess(subject: Subject) -> None:
    """In another process that is told its settings only, it does the same."""
    first = subject.first
    if differences(first.results, subject.second.results):
        raise CheckSkipped("it does not even do the same here: see same_seed_same_result")
    try:
        there = elsewhere().act(subject.component, subject.settings, subject.folder())
    except RuntimeError as error:
        subject.fail(
            "it did not get to the end in another process",
            found=str(error),
            expected="that its class and settings are all it takes",
        )
    found = differences(first.results, there)
    if found:
        subject.fail(
            "in another process it gave another result",
            found=f"differences in {_listed(found)}",
            expected="the same: nothing from this process's state, nothing in the order of a set",
        )
