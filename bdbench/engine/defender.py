"""The host's side of a defense at work: what it is granted, what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bdbench.api import (
    Checkpoint,
    DefenseConfig,
    DefenseSpec,
    Examples,
    Filtering,
    InputError,
    Needs,
    Repair,
    Screening,
    Selection,
)
from bdbench.engine.box import Box
from bdbench.engine.context import Stage
from bdbench.engine.numerics import check_weight_files

__all__ = ["DECISIONS", "Defender", "defender"]

DECISIONS = "filter-*.parquet"
"""What filters decided, one file each, beside the model of stage ``treated``."""


class Defender:
    """A defense in its box. Its methods are those of `bdbench.api.defenses`.

    Args:
        label: Its name in the suite.
        box: Where it acts from.
    """

    def __init__(self, label: str, box: Box) -> None:
        self._label = label
        self._box = box

    def repair(self, victim: Checkpoint, folder: Path) -> Repair:
        """The repaired model, moved to a folder.

        Args:
            victim: The model to repair.
            folder: Does not exist yet.

        Raises:
            InputError: It wrote no new model, or one that cannot be used.
        """
        _show_model(self._box, victim)
        found = self._box.ask("repair")
        name = found["checkpoint"]
        checkpoint = None if name is None else self._box.take_checkpoint(name, self._label, folder)
        if checkpoint is None or not checkpoint.weight_files():
            raise InputError(
                "a repair must write a new model",
                where=self._label,
                found="no safetensors files" if checkpoint else f"the folder {found['found']!r}",
                expected="safetensors files in a new folder below the workspace",
                next="tell the plugin's authors",
            )
        check_weight_files(checkpoint, self._label)
        return Repair(checkpoint, found["notes"], _selection(found))

    def filter(self, rows: Examples, order: list[int]) -> Filtering:
        """Decisions on training rows.

        Args:
            rows: As the victim was trained on them.
            order: In which order it is shown them.

        Raises:
            InputError: It did not decide on every row.
        """
        self._box.show_rows("rows", _anonymous(rows.select(order)))
        found = self._box.ask("filter")
        rewritten = self._box.rows("rewritten") if found["rewritten"] else None
        lengths = {len(found["keep"]), len(found["scores"])}
        ids = list(range(len(rows)))
        if (
            lengths != {len(rows)}
            or None in found["scores"]
            or (rewritten is not None and list(rewritten.ids) != ids)
        ):
            raise InputError(
                "a filter must decide on every row",
                where=self._label,
                found=f"{len(found['keep'])} decisions, {len(found['scores'])} scores, "
                f"{len(rows if rewritten is None else rewritten)} rows",
                expected=f"{len(rows)} of each, in their order, scores finite",
                next="tell the plugin's authors",
            )
        back = np.argsort(order).tolist()
        if rewritten is not None:
            rewritten = rewritten.select(back)
            rewritten = Examples(rewritten.inputs, rewritten.labels, rows.ids)
        return Filtering(
            keep=[found["keep"][row] for row in back],
            scores=[found["scores"][row] for row in back],
            notes=found["notes"],
            examples=rewritten,
            selection=_selection(found),
        )

    def screen(self, rows: Examples) -> Screening:
        """What it makes of rows, which it sees without labels and under new ids.

        Raises:
            InputError: It did not answer for every row.
        """
        blind = _anonymous(rows.with_labels([None] * len(rows)))
        self._box.show_rows("rows", blind)
        found = self._box.ask("screen")
        screened = self._box.rows("screened")
        lengths = (len(screened), len(found["rejected"]), len(found["scores"]))
        same_ids = list(screened.ids) == list(blind.ids)
        finite = None not in found["scores"]
        if lengths != (len(rows),) * 3 or not same_ids or not finite:
            raise InputError(
                "a screen must answer for every row, in order, with finite scores",
                where=self._label,
                found=f"{lengths} rows, decisions and scores; ids "
                f"{'kept' if same_ids else 'changed'}; "
                f"scores {'finite' if finite else 'not finite'}",
                expected=f"{len(rows)} of each",
                next="tell the plugin's authors",
            )
        return Screening(
            examples=Examples(screened.inputs, rows.labels, rows.ids),
            rejected=found["rejected"],
            scores=found["scores"],
            notes=found["notes"],
            selection=_selection(found),
        )


@contextmanager
def defender(
    stage: Stage,
    part: Mapping[str, Any],
    checkpoint: Checkpoint | None,
    training: Examples | None = None,
    clean: Examples | None = None,
) -> Iterator[Defender]:
    """A defense in a box, with what it declares of what the plan put among the stage's inputs.

    Args:
        stage: Where it acts.
        part: What the plan says of it.
        checkpoint: The model under defense; None where there is none.
        training: The victim's training rows, in the order in which it is to see them if it
            needs them.
        clean: The clean rows to show it if it needs some; by default all that are granted.

    Raises:
        InputError: It does not work for the task, or the suite grants less than it needs.
    """
    needs = _needs(stage, part)
    declared = {**asdict(needs), "access": int(needs.access)}
    seeds = stage.seeds.child(part["component"])
    with stage.box(part, needs=declared, seeds=[seeds.root, *seeds.path]) as box:
        if checkpoint is not None and needs.access:
            _show_model(box, checkpoint)
        if needs.clean_rows:
            box.show_rows("clean", stage.clean_rows() if clean is None else clean)
        if needs.references:
            for number, reference in enumerate(stage.checkpoints("references")):
                box.show(f"reference-{number}", reference.folder)
        if needs.base_weights:
            box.show("base", stage.checkpoint("base").folder)
        if training is not None and needs.training_data:
            box.show_rows("training", _anonymous(training))
        yield Defender(part["label"], box)


def _show_model(box: Box, checkpoint: Checkpoint) -> None:
    # What filters decided lies beside the model that was trained on the rows they kept.
    box.show("model", checkpoint.folder, besides=DECISIONS)


def _anonymous(rows: Examples) -> Examples:
    """Rows under new ids: an attacker's own rows come last and have ids of their own."""
    return Examples(rows.inputs, rows.labels, list(range(len(rows))))


def _needs(stage: Stage, part: Mapping[str, Any]) -> Needs:
    spec = stage.host.spec_of("defense", part["component"])
    if not spec.works_for(stage.task.name):
        raise InputError(
            "the defense does not work for this task",
            where=part["label"],
            found=stage.task.name,
            expected=", ".join(sorted(spec.tasks)),
        )
    needs = spec.needs if isinstance(spec, DefenseSpec) else Needs()
    config = stage.configured(part)
    return config.needs(needs) if isinstance(config, DefenseConfig) else needs


def _selection(found: Mapping[str, Any]) -> Selection:
    return Selection(found["selection"])
