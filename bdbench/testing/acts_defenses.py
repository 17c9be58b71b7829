"""A defense acts: with what it declares and the suite would grant, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bdbench.api import (
    Access,
    Checkpoint,
    DefenderView,
    DefenseSpec,
    DefenseStage,
    Examples,
    Filtering,
    Needs,
    NotGrantedError,
    Outputs,
    Repair,
    Screening,
)
from bdbench.testing.check import CheckSkipped
from bdbench.testing.rows import with_marker
from bdbench.testing.scene import Scene

if TYPE_CHECKING:
    from bdbench.testing.engine import Uncounted

__all__ = ["DefenseRun", "act", "blind"]

GRANTED_ROWS = 48
GRANTED_REFERENCES = 2
PUBLIC = {
    "base",
    "clean_rows",
    "engine",
    "predict",
    "references",
    "seeds",
    "task",
    "training_rows",
    "workspace",
}


@dataclass(slots=True)
class DefenseRun:
    """What a defense did.

    Attributes:
        needs: What it declares, with its settings.
        refused: What it asked for and had not declared.
        scene: Where it acted.
        training: The training rows as a filter saw them.
        inputs: The rows as a screen saw them.
        victim: The model that it repaired.
        workspace: The folder that a repair could write to.
        filtering: What the filter decided.
        repair: The repair.
        screening: What the screen made of `inputs`.
        uncounted: What it did with models past the engine.
        forward_rows: Rows that it sent through models.
        backward_rows: Rows that it computed gradients for.
        screen: Screens other rows, by a new object.
        filter: Filters other rows, likewise.
    """

    needs: Needs
    refused: list[str]
    scene: Scene
    training: Examples
    inputs: Examples
    victim: Checkpoint | None = None
    workspace: Path | None = None
    filtering: Filtering | None = None
    repair: Repair | None = None
    screening: Screening | None = None
    uncounted: Uncounted | None = None
    forward_rows: int = 0
    backward_rows: int = 0
    screen: Callable[[Examples], Screening] = field(default=lambda _: _never())
    filter: Callable[[Examples], Filtering] = field(default=lambda _: _never())

    def results(self) -> dict[str, Any]:
        """All that decides numbers."""
        found: dict[str, Any] = {}
        if self.filtering:
            found["kept rows"] = [bool(keep) for keep in self.filtering.keep]
            found["scores of training rows"] = list(self.filtering.scores)
            found["rewritten training rows"] = self.filtering.examples
        if self.repair:
            found["repaired model"] = self.repair.checkpoint
        if self.screening:
            found["screened rows"] = self.screening.examples.inputs
            found["rejected rows"] = [bool(yes) for yes in self.screening.rejected]
            found["scores of rows"] = list(self.screening.scores)
        return found


Given = TypeVar("Given")


def _checked(found: Any, kind: type[Given], method: str) -> Given:
    """What a method gave, if the host could do anything with it."""
    if not isinstance(found, kind):
        raise TypeError(f"{method} gave a {type(found).__name__}, expected a {kind.__name__}")
    return found


def _never() -> Any:
    raise TypeError("the defense has no such stage")


def act(
    spec: DefenseSpec,
    needs: Needs,
    build: Callable[[], Any],
    scene: Scene,
    *,
    least: bool = False,
    clean: bool = False,
) -> DefenseRun:
    """Lets a defense do all that it declares.

    Args:
        spec: What it declares.
        needs: What it needs with its settings.
        build: Makes a new object of it.
        scene: Where.
        least: Grant no more than it needs.
        clean: Show it no row with a mark.
    """
    world = scene.world
    run = DefenseRun(
        needs=needs,
        refused=[],
        scene=scene,
        training=_training(world.splits.train, marked=not clean),
        inputs=_inputs(world.splits.test, marked=not clean),
    )
    # Made before anything is watched: a world's models are trained when they are first needed.
    if needs.references:
        world.references  # noqa: B018
    if needs.access or needs.base_weights or DefenseStage.REPAIR in spec.stages:
        world.victim  # noqa: B018
    steps = itertools.count()

    def view(model: Checkpoint | None) -> DefenderView:
        return _view(spec, needs, scene, model, run, step=next(steps), least=least)

    def model() -> Checkpoint | None:
        return scene.hand_model("victim", world.victim) if needs.access else None

    def screen(rows: Examples) -> Screening:
        found = build().screen(scene.hand("rows to screen", rows), view(model()))
        return _checked(found, Screening, "screen")

    def filter_(rows: Examples) -> Filtering:
        found = build().filter(scene.hand("rows to filter", rows), view(model()))
        return _checked(found, Filtering, "filter")

    run.screen, run.filter = screen, filter_
    with scene.engine.watched() as run.uncounted:
        if DefenseStage.FILTER in spec.stages:
            run.filtering = filter_(run.training)
        if DefenseStage.REPAIR in spec.stages:
            run.victim = scene.hand_model("victim to repair", world.victim)
            granted = view(run.victim)
            run.workspace = granted.workspace
            run.repair = _checked(build().repair(run.victim, granted), Repair, "repair")
        if DefenseStage.SCREEN in spec.stages:
            run.screening = screen(run.inputs)
    run.forward_rows = scene.engine.meter.forward_rows
    run.backward_rows = scene.engine.meter.backward_rows
    return run


def _view(
    spec: DefenseSpec,
    needs: Needs,
    scene: Scene,
    model: Checkpoint | None,
    run: DefenseRun,
    *,
    step: int,
    least: bool,
) -> DefenderView:
    world = scene.world
    pool = world.splits.clean
    if needs.clean_rows > len(pool):
        raise CheckSkipped(f"it needs {needs.clean_rows} clean rows, and there are {len(pool)}")
    count = needs.clean_rows if least else max(needs.clean_rows, GRANTED_ROWS)
    wanted = needs.references if least else max(needs.references, GRANTED_REFERENCES)
    many = itertools.cycle(world.references) if needs.references else ()
    references = list(itertools.islice(many, wanted))

    def predict(rows: Examples) -> Outputs:
        if model is None:
            raise TypeError("there is no model in this stage")
        return scene.engine.predict(scene.engine.load(model), model, rows)

    view = DefenderView(
        defense=spec.name,
        needs=needs,
        task=world.task,
        seeds=scene.seeds.child("defense"),
        workspace=scene.workspace(),
        engine=scene.engine,
        clean_rows=scene.hand(f"clean rows ({step})", pool.select(range(count))),
        references=[
            scene.hand_model(f"reference {number} ({step})", reference)
            for number, reference in enumerate(references)
        ],
        base=scene.hand_model(f"base ({step})", world.start) if needs.base_weights else None,
        training_rows=scene.hand(f"training rows ({step})", run.training),
        predict=predict,
    )
    return blind(view, needs, run.refused)


def blind(view: DefenderView, needs: Needs, refused: list[str]) -> DefenderView:
    """A view that notes whatever is asked of it and was not declared.

    Args:
        view: What is behind it, out of reach.
        needs: What was declared.
        refused: Where names are noted; asking raises all the same.
    """

    def predict(rows: Examples) -> Outputs:
        if needs.access < Access.OUTPUTS:
            refused.append("predict")
        return view.predict(rows)

    class Blind:
        __slots__ = ()

        def __getattribute__(self, name: str) -> Any:
            if name == "__class__":
                return DefenderView
            if name not in PUBLIC:
                refused.append(name)
                raise AttributeError(f"a defense is given no {name!r}")
            if name == "predict":
                return predict
            try:
                return getattr(view, name)
            except NotGrantedError:
                refused.append(name)
                raise

        def __setattr__(self, name: str, value: Any) -> None:
            refused.append(name)
            raise AttributeError(f"{name!r} of a view cannot be set")

    stand_in: Any = Blind()
    blinded: DefenderView = stand_in
    return blinded


def _training(rows: Examples, *, marked: bool) -> Examples:
    """Training rows as a victim might be trained on: some with a mark and the label 1."""
    poisoned = {row for row in range(0, len(rows), 8) if marked and rows.labels[row] == 0}
    found = _with_marks(rows, poisoned)
    return found.with_labels(
        [1 if row in poisoned else label for row, label in enumerate(rows.labels)]
    )


def _inputs(rows: Examples, *, marked: bool) -> Examples:
    """Inputs as a screen sees them: every other one with a mark, without labels."""
    found = _with_marks(rows, set(range(1, len(rows), 2)) if marked else set())
    return found.with_labels([None] * len(rows))


def _with_marks(rows: Examples, where: set[int]) -> Examples:
    """The rows under new ids, some with a mark."""
    name = next(iter(rows.inputs))
    marked = with_marker(rows).inputs[name]
    column = [marked[row] if row in where else value for row, value in enumerate(rows.inputs[name])]
    return Examples({**rows.inputs, name: column}, rows.labels, list(range(len(rows))))
