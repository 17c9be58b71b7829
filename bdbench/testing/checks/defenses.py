"""What defenses keep to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bdbench.api import (
    Access,
    Checkpoint,
    DefenseSpec,
    DefenseStage,
    Examples,
    Filtering,
    InputError,
    NotGrantedError,
    Screening,
)
from bdbench.engine.triggering import same_row
from bdbench.testing.acts_defenses import DefenseRun
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.checks.attacks import new_model
from bdbench.testing.subject import Subject
from bdbench.testing.worlds import World

TOLERANCE = 1e-4
LOST_ACCURACY, LOST_ROWS = 0.3, 0.5
"""What a defense may cost in a tiny world, where few rows and small models make all of them
clumsy: it tells a defense that is careful from one that destroys, and no more."""


def _acts(spec: DefenseSpec) -> bool:
    return bool(spec.stages)


def _screens(spec: DefenseSpec) -> bool:
    return DefenseStage.SCREEN in spec.stages


def _decides(spec: DefenseSpec) -> bool:
    return bool(spec.stages & {DefenseStage.SCREEN, DefenseStage.FILTER})


def _run(subject: Subject) -> DefenseRun:
    found: DefenseRun = subject.first.run
    return found


@check("defense", when=_acts)
def works_blind(subject: Subject) -> None:
    """It asks a view for nothing that it does not declare, and looks behind no view."""
    try:
        refused = _run(subject).refused
    except CheckSkipped:
        error = subject.why_not()
        if not isinstance(error, NotGrantedError):
            raise
        subject.fail(
            "it asked for what it does not declare",
            found=error.found,
            expected=error.expected,
            hint=error.next,
        )
    if refused:
        subject.fail(
            "it asked for what it does not declare",
            found=f"view.{', view.'.join(dict.fromkeys(refused))}",
            expected="only what its Needs name: nothing else will be there",
            hint="declare it under `needs` in hooks.py, or do without",
        )


@check("defense", when=_acts)
def stays_within_needs(subject: Subject) -> None:
    """It uses models no further than it declares, and nothing of that goes uncounted."""
    run = _run(subject)
    needs = run.needs
    models = needs.access or needs.references or needs.base_weights or needs.external_model
    if run.forward_rows and not models:
        subject.fail(
            "it sends rows through a model, and declares none",
            found=f"{run.forward_rows} rows",
            expected="Needs(access=Access.OUTPUTS), or external_model=True for one of its own",
        )
    weights = needs.access >= Access.GRADIENTS or needs.references or needs.base_weights
    if run.backward_rows and not (weights or needs.external_model):
        subject.fail(
            "it computes gradients, and declares no access to them",
            found=f"{run.backward_rows} rows, access={needs.access.name}",
            expected="Needs(access=Access.GRADIENTS) or more",
        )
    uncounted = run.uncounted
    if uncounted is not None and (uncounted.forwards or uncounted.steps):
        subject.fail(
            "it works on models past the engine, so that its cost is not counted",
            found=f"{uncounted.forwards} forward passes and {uncounted.steps} optimizer steps",
            expected="engine.predict, fine_tune, loss, forward and step",
        )


@check("defense", when=_acts)
def works_with_the_least_it_needs(subject: Subject) -> None:
    """It gets to the end with exactly the clean rows and reference models that it names.

    How many rows are enough can depend on what they hold: an `InputError` that says so will do.
    """
    needs = _run(subject).needs
    if not needs.clean_rows and not needs.references:
        raise CheckSkipped("it needs neither clean rows nor reference models")
    try:
        subject.act(least=True)
    except ModuleNotFoundError:
        raise
    except InputError as error:
        raise CheckSkipped(f"it refuses so little ({error.what})") from error
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is told of
        subject.fail(
            "what it says it needs is not enough",
            found=f"{type(error).__name__}: {error}",
            expected=f"to work with {needs.clean_rows} clean rows and {needs.references} "
            "reference models, or to declare more",
        )


@check("defense", when=lambda spec: DefenseStage.REPAIR in spec.stages)
def repair_returns_new_model(subject: Subject) -> None:
    """The repaired model is a new one below the workspace, finite, and can be loaded."""
    run = _run(subject)
    if run.repair is None or run.victim is None:
        raise CheckSkipped("it repaired nothing")
    new_model(subject, run.repair.checkpoint, run.victim, run.workspace, "repair")


@check("defense", when=_decides)
def decision_lengths_match(subject: Subject) -> None:
    """It decides on every row, in order, with finite scores; rows keep their ids."""
    run = _run(subject)
    if run.filtering is not None:
        found = run.filtering
        _count(subject, "filter", len(run.training), keep=found.keep, scores=found.scores)
        if found.examples is not None:
            _same_ids(subject, "filter", run.training, found.examples)
    if run.screening is not None:
        screening = run.screening
        _count(
            subject,
            "screen",
            len(run.inputs),
            rejected=screening.rejected,
            scores=screening.scores,
        )
        _same_ids(subject, "screen", run.inputs, screening.examples)


def _count(subject: Subject, stage: str, rows: int, **parts: Sequence[float | bool]) -> None:
    for name, values in parts.items():
        if len(values) != rows:
            subject.fail(
                f"the {stage} does not decide on every row",
                found=f"{len(values)} {name} for {rows} rows",
                expected="one for each row, in their order",
            )
        if not all(math.isfinite(value) for value in values):
            subject.fail(f"{name} of the {stage} are not finite", expected="finite numbers")


def _same_ids(subject: Subject, stage: str, before: Examples, after: Examples) -> None:
    if list(after.ids) != list(before.ids):
        subject.fail(
            f"the {stage} changed the number, order or ids of rows",
            found=f"{len(after)} rows for {len(before)}",
            expected="the same rows, rewritten at most",
        )


@check("defense", when=_screens)
def screen_is_batch_invariant(subject: Subject) -> None:
    """What becomes of an input does not depend on which others are screened with it."""
    run = _run(subject)
    whole = run.screening
    if whole is None or len(whole.examples) != len(run.inputs):
        raise CheckSkipped("see decision_lengths_match")
    count = len(run.inputs)
    if len(whole.rejected) != count or len(whole.scores) != count:
        raise CheckSkipped("see decision_lengths_match")
    others = {"in reverse order": list(range(count))[::-1], "alone": [2]}
    for name, rows in others.items():
        found = run.screen(run.inputs.select(rows))
        for place, row in enumerate(rows):
            difference = _difference(whole, row, found, place)
            if difference:
                subject.fail(
                    f"a row fares otherwise {name}",
                    found=f"{difference} of row {row} differs",
                    expected="a decision that rests on the row and on what the view grants",
                )


def _difference(one: Screening, row: int, other: Screening, place: int) -> str:
    if bool(one.rejected[row]) != bool(other.rejected[place]):
        return "the decision"
    if not np.isclose(
        one.scores[row], other.scores[place], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    ):
        return "the score"
    same = same_row(one.examples.select([row]), other.examples.select([place]), 0)
    return "" if same else "the text"


@check("defense", when=_decides)
def handles_empty_and_single(subject: Subject) -> None:
    """A screen takes no rows and a single one; a filter takes a single one."""
    run = _run(subject)
    spec = subject.spec
    if not isinstance(spec, DefenseSpec):
        return
    for stage, sizes in ((DefenseStage.SCREEN, (0, 1)), (DefenseStage.FILTER, (1,))):
        if stage not in spec.stages:
            continue
        for size in sizes:
            given = run.inputs if stage is DefenseStage.SCREEN else run.training
            rows = given.select(range(size))
            try:
                found: Screening | Filtering = (
                    run.screen(rows) if stage is DefenseStage.SCREEN else run.filter(rows)
                )
            except Exception as error:  # noqa: BLE001 -- it is told of
                subject.fail(
                    f"the {stage} cannot take {size} rows",
                    found=f"{type(error).__name__}: {error}",
                    expected="a decision on each, be they none",
                )
            if len(found.scores) != size:
                subject.fail(f"the {stage} gives {len(found.scores)} scores for {size} rows")


@check("defense", when=_acts)
def does_little_to_clean_model(subject: Subject) -> None:
    """Where nothing is poisoned, accuracy falls by at most 0.3 and at least half the rows pass."""
    spec = subject.spec
    stages = spec.stages if isinstance(spec, DefenseSpec) else frozenset()
    # What sees no rows but those that it is granted has met nothing poisoned yet.
    apart = stages == {DefenseStage.REPAIR} and not _run(subject).needs.training_data
    clean = subject.first if apart else subject.once("clean", lambda: subject.act(clean=True))
    run: DefenseRun = clean.run
    if run.filtering is not None:
        _passes(subject, "drops", [not keep for keep in run.filtering.keep], len(run.training))
    rejected = [False] * len(run.inputs)
    if run.screening is not None:
        rejected = [bool(yes) for yes in run.screening.rejected]
        _passes(subject, "rejects", rejected, len(run.inputs))
    if run.repair is None and run.screening is None:
        return
    if run.repair is not None and not run.repair.checkpoint.weight_files():
        raise CheckSkipped("see repair_returns_new_model")
    world = subject.world
    passed = [row for row, stopped in enumerate(rejected) if not stopped]
    truth = world.splits.test.select(passed)
    treated = truth if run.screening is None else run.screening.examples.select(passed)
    model = world.victim if run.repair is None else run.repair.checkpoint
    before = _accuracy(world, world.victim, truth, truth)
    after = _accuracy(world, model, treated, truth)
    if before - after > LOST_ACCURACY:
        subject.fail(
            "it breaks a model that nobody attacked",
            found=f"accuracy {after:.2f} on clean rows, and {before:.2f} without it",
            expected=f"at most {LOST_ACCURACY} less",
            hint="a defense cannot know whether there was an attack; if it takes more rows than "
            "there are here, set less under SETTINGS in " + subject.supplied.place,
        )


def _passes(subject: Subject, verb: str, stopped: list[bool], rows: int) -> None:
    if len(stopped) != rows:
        raise CheckSkipped("see decision_lengths_match")
    if sum(stopped) > LOST_ROWS * rows:
        subject.fail(
            f"it {verb} rows that nobody poisoned",
            found=f"{sum(stopped)} of {rows}",
            expected=f"at most a share of {LOST_ROWS}",
        )


def _accuracy(world: World, model: Checkpoint, rows: Examples, truth: Examples) -> float:
    engine = world.engine()
    said = engine.predict(engine.load(model), model, rows)["prediction"]
    return float(np.mean(said == np.asarray(truth.labels)))
