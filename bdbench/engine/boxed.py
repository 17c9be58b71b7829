"""The component's side of a box: builds the component and lets it act.

Runs in a process of the component's own that sees nothing but the box. Whatever is here, the
component could have changed: the host believes none of it, and checks what comes out.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from bdbench.api import BdbenchError, Checkpoint, Examples, InputError, Task
from bdbench.engine.box import IN, OUT, ROWS, TMP
from bdbench.engine.context import Setting
from bdbench.engine.rows import read_examples, write_examples
from bdbench.host.catalog import Host

__all__ = ["Boxed", "answer", "left_checkpoint", "plain"]


class Boxed(Setting):
    """What a component's side works with.

    Args:
        setting: What the host said of the component, the task and the model.
        root: The box.
        host: Brings the component.
    """

    def __init__(self, setting: Mapping[str, Any], root: Path, host: Host) -> None:
        super().__init__(setting, host, root / TMP)
        self.root = root

    @property
    def task(self) -> Task:
        """What the victim is for."""
        task = self.settings["task"]
        return Task(task["name"], tuple(task["fields"]), tuple(task["classes"]))

    @cached_property
    def component(self) -> Any:
        """The component; the same object for all that is asked in a box."""
        return self.build(self.settings["part"])

    def has(self, name: str) -> bool:
        """Whether something was shown under a name."""
        return (self.root / IN / name).is_dir()

    def shown(self, name: str) -> Path:
        """What was shown under a name."""
        return self.root / IN / name

    def rows(self, name: str) -> Examples:
        """Rows that were shown under a name."""
        return read_examples(self.shown(name) / ROWS)

    def checkpoint(self, name: str) -> Checkpoint:
        """A model that was shown under a name."""
        return Checkpoint(self.shown(name))

    def leave_rows(self, name: str, rows: Examples) -> None:
        """Leaves rows under a name."""
        write_examples(rows, self.place(name) / ROWS)

    def place(self, name: str) -> Path:
        """A new folder for what is left under a name."""
        folder = self.root / OUT / name
        folder.mkdir()
        return folder


Act = Callable[..., Mapping[str, Any]]


def answer(boxed: Boxed, question: Mapping[str, Any], acts: Mapping[str, Act]) -> dict[str, Any]:
    """Lets the component act, and says what came of it as plain data."""
    # Which of a composition's parts it was, the stage does not tell.
    where = f"{boxed.settings['part']['label']}, {question['do']}"
    try:
        result = plain(acts[question["do"]](boxed, **question["with"]), where)
    except BdbenchError as error:
        error.where = error.where or where
        return {"error": {**error.to_dict(), "traceback": traceback.format_exc()}}
    # A component may end its process in any way it likes; the cell fails, the run goes on.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"error": crash(error, where)}
    return {"result": result, "cost": boxed.meter.cost().model_dump()}


def crash(error: BaseException, where: str) -> dict[str, str]:
    """An exception that nobody meant to raise, as plain data."""
    return {
        "type": "Crash",
        "what": f"{type(error).__name__}: {error}",
        "where": where,
        "next": "see the traceback with --debug",
        "traceback": traceback.format_exc(),
    }


def plain(notes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Notes as JSON data; NaN and what JSON has no form for are refused."""
    try:
        data: dict[str, Any] = json.loads(json.dumps(dict(notes), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            "the notes of a component are not plain data",
            where=where,
            found=str(error),
            expected="text, finite numbers, true or false, lists and mappings",
            next="tell the plugin's authors",
        ) from error
    return data


def left_checkpoint(boxed: Boxed, checkpoint: Checkpoint) -> str | None:
    """The name under which a component left a model; None if it is not below its workspace."""
    out = (boxed.root / OUT).resolve()
    folder = checkpoint.folder.resolve()
    return folder.relative_to(out).as_posix() if folder.is_relative_to(out) else None
