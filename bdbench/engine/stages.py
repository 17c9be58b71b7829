"""The stages: what each reads, does and leaves."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bdbench.api import BdbenchError
from bdbench.engine.attacking import make_edited, make_pretrained, make_triggered, make_victim
from bdbench.engine.box import BoxError, Boxes
from bdbench.engine.boxed import crash, plain
from bdbench.engine.context import Stage, StageResult, environment
from bdbench.engine.data import make_data
from bdbench.engine.defending import make_treated
from bdbench.engine.numerics import settle
from bdbench.engine.open_boxes import OpenBoxes
from bdbench.engine.poisoning import make_poison
from bdbench.engine.predictions import make_predictions
from bdbench.engine.scoring import make_attack_scores, make_scores
from bdbench.engine.screening import make_screened
from bdbench.host.catalog import Host
from bdbench.store.objects import Store

__all__ = ["run_stage"]


def make_base(stage: Stage) -> StageResult:
    """The weights that a victim starts from: pre-trained body, fresh head."""
    stage.model.prepare(stage.task, stage.folder, stage.seeds.child("init"))
    return StageResult()


MAKERS: Mapping[str, Callable[[Stage], StageResult]] = {
    "data": make_data,
    "poison": make_poison,
    "base": make_base,
    "pretrained": make_pretrained,
    "victim": make_victim,
    "edited": make_edited,
    "triggered": make_triggered,
    "treated": make_treated,
    "screened": make_screened,
    "predictions": make_predictions,
    "attack_scores": make_attack_scores,
    "scores": make_scores,
}


def run_stage(
    document: Mapping[str, Any], store: Store, host: Host, boxes: Boxes | None = None
) -> dict[str, str] | None:
    """Makes sure that a stage is in the store.

    Args:
        document: What the plan says of it.
        store: Where inputs and outputs are.
        host: Brings its components.
        boxes: Starts the processes in which attacks, defenses and metrics act; by default
            they act in this one, with nothing kept from them.

    Returns:
        None if it is there, else the error as a dictionary; a crash of a component has its
        traceback under ``traceback``.
    """

    def make(folder: Path) -> Mapping[str, Any]:
        settle()
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            stage = Stage(
                document,
                folder=folder,
                scratch=Path(scratch),
                store=store,
                host=host,
                boxes=boxes or OpenBoxes(host),
            )
            result = MAKERS[document["kind"]](stage)
            return {
                "notes": plain(result.notes, document["kind"]),
                "values": plain(result.values, document["kind"]),
                "cost": stage.meter.cost().model_dump(),
                "environment": environment(),
                "isolation": stage.isolation,
            }

    try:
        store.ensure(document["kind"], document["key"], make)
    except BdbenchError as error:
        return {**error.to_dict(), "traceback": traceback.format_exc()}
    except BoxError as error:
        return error.error
    # A data set or model family may end its process in any way it likes; the run goes on.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return crash(error, document["kind"])
    return None
