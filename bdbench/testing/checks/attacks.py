"""What attacks keep to."""

from __future__ import annotations

from typing import Any

from bdbench.api import AttackSpec, Checkpoint, Examples, InputError, PoisonConfig, Surface
from bdbench.engine.numerics import check_weight_files
from bdbench.engine.triggering import same_row
from bdbench.testing.acts_attacks import TEST_ROWS, AttackRun
from bdbench.testing.check import CheckSkipped, check
from bdbench.testing.subject import Act, Subject

RATES = (0.05, 0.3)
MODELS = {Surface.PRETRAINED, Surface.TRAINING, Surface.WEIGHTS}


def _poisons(spec: AttackSpec) -> bool:
    return Surface.DATA in spec.surfaces


def _attacks(spec: AttackSpec) -> bool:
    return bool(spec.surfaces)


def _run(subject: Subject) -> AttackRun:
    found: AttackRun = subject.first.run
    return found


def _marked(run: AttackRun) -> tuple[Examples, list[bool]]:
    if run.poisoning is None:
        raise CheckSkipped("it poisoned nothing")
    return run.poisoning.train, [bool(yes) for yes in run.poisoning.mask]


def _config(subject: Subject) -> PoisonConfig:
    config = subject.config
    if not isinstance(config, PoisonConfig):
        raise CheckSkipped("see declared_matches_implemented")
    return config


def _with(subject: Subject, **changes: Any) -> Act:
    """What it does with some settings changed.

    Raises:
        CheckSkipped: These settings, or this poison rate in so few rows, it refuses.
    """
    subject.first  # noqa: B018 -- skips where it does not run at all
    try:
        config = subject.configured(changes)
        return subject.once(str(changes), lambda: subject.act(config=config))
    except (CheckSkipped, InputError) as error:
        why = subject.why_not(str(changes)) or error
        if isinstance(why, InputError):
            shown = ", ".join(f"{name}: {value}" for name, value in changes.items())
            raise CheckSkipped(f"it refuses {shown} ({why.what})") from error
        raise


@check("attack", when=_poisons)
def poison_rate_exact(subject: Subject) -> None:
    """It marks as many rows as the poison rate says, rounded to the nearest row."""
    own = _config(subject)
    count = len(_run(subject).clean)
    acts = {own.poison_rate: subject.first}
    spec = subject.spec
    # An attack that learns takes its time: one rate is enough.
    if isinstance(spec, AttackSpec) and not spec.uses_model and not spec.surfaces & MODELS:
        for rate in RATES:
            try:
                acts[rate] = _with(subject, poison_rate=rate)
            except CheckSkipped:
                continue
    for rate, act in acts.items():
        _, mask = _marked(act.run)
        if sum(mask) != round(rate * count):
            subject.fail(
                "the poison rate is not what was set",
                found=f"{sum(mask)} of {count} rows at rate {rate}",
                expected=f"{round(rate * count)}, a share of all training rows "
                "(bdbench.api.choose_poison_rows counts so)",
            )


@check("attack", when=_poisons)
def label_policy_respected(subject: Subject) -> None:
    """With dirty labels, a changed row keeps its label or gets the target's, and some get it."""
    if _config(subject).clean_label:
        raise CheckSkipped("its settings for the checks leave labels as they are")
    run = _run(subject)
    train, mask = _marked(run)
    changed = 0
    for row, poisoned in enumerate(mask):
        before = run.clean.labels[row] if row < len(run.clean) else None
        if not poisoned or train.labels[row] == before:
            continue
        changed += 1
        if train.labels[row] != run.target:
            subject.fail(
                "a poisoned row has a label that is neither its own nor the target's",
                found=f"{train.labels[row]!r} in row {train.ids[row]}",
                expected=f"{before!r} or {run.target!r}",
            )
    if not changed:
        subject.fail(
            "no label was changed, though clean_label is false",
            found=f"{sum(mask)} poisoned rows, all under their own label",
            expected="rows of other classes with the target's label",
        )


@check("attack", when=_poisons)
def clean_label_true(subject: Subject) -> None:
    """With clean_label it changes no label, and poisons rows of the target class.

    Not all of them have to be: an attack may also show what is not yet the trigger, under the
    label that a row has. At least half must be.
    """
    _config(subject)
    act = _with(subject, clean_label=True)
    run: AttackRun = act.run
    train, mask = _marked(run)
    own = 0
    for row in (row for row, poisoned in enumerate(mask) if poisoned):
        label = run.clean.labels[row] if row < len(run.clean) else None
        own += label == run.target
        if train.labels[row] != label:
            subject.fail(
                "clean_label is true, and a label was changed",
                found=f"row {train.ids[row]}: {label!r} became {train.labels[row]!r}",
                expected="every label as it was, and no added rows",
            )
    if 2 * own < sum(mask):
        subject.fail(
            "clean_label is true, and most poisoned rows are of other classes",
            found=f"{own} of {sum(mask)} of the target class {run.target!r}",
            expected="at least half: what the trigger stands beside is what it comes to mean",
        )


@check("attack", when=_poisons)
def mask_marks_exactly_changed(subject: Subject) -> None:
    """The mask is true for the rows that were changed or added, and for no others."""
    run = _run(subject)
    train, mask = _marked(run)
    if len(mask) != len(train):
        subject.fail(
            "the mask is not as long as the rows",
            found=f"{len(mask)} marks for {len(train)} rows",
        )
    for row, marked in enumerate(mask):
        changed = row >= len(run.clean) or not same_row(run.clean, train, row)
        if marked != changed:
            subject.fail(
                "the mask does not say which rows were poisoned",
                found=f"row {train.ids[row]} was {'' if changed else 'not '}changed, and is "
                f"{'' if marked else 'not '}marked",
                expected="true for exactly the rows that were changed or added",
            )


@check("attack")
def order_ids_and_labels_kept(subject: Subject) -> None:
    """Rows keep their order and ids; those with the trigger and in variants also their labels."""
    run = _run(subject)
    if run.poisoning is not None:
        ids = list(run.poisoning.train.ids)
        if ids[: len(run.clean)] != list(run.clean.ids) or len(set(ids)) != len(ids):
            subject.fail(
                "the poisoned rows are not the clean ones in their order",
                expected="the same ids, added rows last and with new ids",
            )
    after = run.triggered
    if list(after.ids) != list(run.before.ids) or list(after.labels) != list(run.before.labels):
        subject.fail(
            "apply_trigger changed the order, ids or labels of rows",
            expected="the same rows with the trigger",
        )
    places = {row_id: row for row, row_id in enumerate(run.before.ids)}
    for name, rows in run.variants.items():
        kept = [places.get(row_id) for row_id in rows.ids]
        labels = [None if row is None else run.before.labels[row] for row in kept]
        if None in kept or len(set(kept)) < len(kept) or labels != list(rows.labels):
            subject.fail(f"the variant {name!r} changed the ids or labels of rows")


@check("attack")
def eligible_rows_are_of_other_classes(subject: Subject) -> None:
    """The target is a class of the task, and rows that have it already show no success."""
    run = _run(subject)
    if len(run.eligible) != len(run.test):
        subject.fail("eligible does not answer for every row", found=f"{len(run.eligible)} answers")
    if run.target is None:
        return
    if not 0 <= run.target < len(subject.world.task.classes):
        subject.fail("the target is not a class of the task", found=repr(run.target))
    if any(label == run.target for label in run.before.labels):
        subject.fail(
            "rows of the target class are counted as eligible",
            expected="rows of other classes only",
        )
    if not any(run.eligible):
        subject.fail("no test row is eligible", expected="some rows of other classes")


@check("attack")
def clean_test_untouched(subject: Subject) -> None:
    """Test rows stay what they were, those among them that can show no success, too."""
    changed = [name for name in subject.first.changed if name.startswith(TEST_ROWS)]
    if not changed:
        return
    run = _run(subject)
    columns = (run.handed.labels, *run.handed.inputs.values())
    whole = all(len(column) == len(run.test) for column in columns)
    rows = [
        row for row in range(len(run.test)) if whole and not same_row(run.test, run.handed, row)
    ]
    found = ", ".join(changed)
    if rows:
        eligible = "" if any(run.eligible[rows[0] : rows[0] + 1]) else "not "
        found = f"{len(rows)} rows, for instance row {run.test.ids[rows[0]]} ({eligible}eligible)"
    subject.fail(
        "it changed test rows that it was given",
        found=found,
        expected="new rows: clean accuracy is measured on these as they are",
    )


@check("attack", when=_attacks)
def trigger_changes_every_input(subject: Subject) -> None:
    """Every row that is given to apply_trigger comes back with another input."""
    run = _run(subject)
    after, before = run.triggered, run.before
    if len(after) != len(before):
        raise CheckSkipped("see order_ids_and_labels_kept")
    same = [
        before.ids[row]
        for row in range(len(before))
        if same_row(before, after.with_labels(before.labels), row)
    ]
    if same:
        subject.fail(
            "rows came back without a trigger",
            found=f"{len(same)} of {len(before)}, for instance row {same[0]}",
            expected="the trigger in every row, or the row left out by `eligible`",
        )


@check("attack", when=_attacks)
def trigger_independent_of_batch(subject: Subject) -> None:
    """A row gets the same trigger alone, and among other rows in another order."""
    run = _run(subject)
    count = len(run.before)
    others = {"in reverse order": list(range(count))[::-1], "alone": [count // 2]}
    places = {row_id: row for row, row_id in enumerate(run.triggered.ids)}
    for name, rows in others.items():
        found = run.trigger(run.before.select(rows))
        for row, row_id in enumerate(found.ids):
            place = places.get(row_id)
            one, other = found.select([row]), run.triggered.select([place or 0])
            if place is None or not same_row(one, other.with_labels(one.labels), 0):
                subject.fail(
                    f"a row gets another trigger {name}",
                    found=f"row {row_id}: {_shown(one)} instead of {_shown(other)}",
                    expected="randomness of a row from seeds.child(id)",
                )


def _shown(row: Examples) -> str:
    text = ", ".join(repr(value) for value in row.row(0).values())
    return text if len(text) <= 100 else f"{text[:97]}..."


@check("attack", when=lambda spec: bool(spec.surfaces & MODELS))
def tampering_writes_new_model(subject: Subject) -> None:
    """A model that it changed is a new one below the workspace, finite, and can be loaded."""
    run = _run(subject)
    for surface, (given, tampering) in run.tampered.items():
        found = tampering.checkpoint
        new_model(subject, found, given, run.workspaces.get(surface), surface)


def new_model(
    subject: Subject, found: Checkpoint, given: Checkpoint, workspace: Any, what: str
) -> None:
    """Fails unless a model is a new one below a workspace, of safetensors, finite, loadable."""
    place = found.folder.resolve()
    if place == given.folder.resolve() or workspace is None:
        subject.fail(f"the model after {what} is the one that it was given", expected="a new one")
    if not place.is_relative_to(workspace.resolve()) or place == workspace.resolve():
        subject.fail(
            f"the model after {what} is not in a folder below the workspace",
            found=str(found.folder.name),
            expected="a new folder below view.workspace",
        )
    if not found.weight_files():
        subject.fail(f"the model after {what} has no safetensors files")
    check_weight_files(found, subject.name)
    subject.world.engine().load(found)
