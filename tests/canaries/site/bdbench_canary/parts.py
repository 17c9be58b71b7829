"""The canaries."""

import os
import time
from threading import Thread

from bdbench.api import (
    Attack,
    Defense,
    Filtering,
    Metric,
    Poisoning,
    Repair,
    Screening,
    choose_poison_rows,
)
from bdbench_canary.names import PROBES
from bdbench_canary.probes import Scene, look_around
from bdbench_canary.tokens import kind, whole_part


class Attacker(Attack):
    def apply_trigger(self, examples, task, seeds):
        texts = [f"{self.config.word} {text}" for text in examples.inputs["text"]]
        return examples.with_input("text", texts)

    def poison(self, view, seeds):
        train, target = view.train, self.target(view.task)
        report = look_around("attack", Scene(list(train.inputs["text"]), []))
        rows = choose_poison_rows(
            train.labels, target, self.config.poison_rate, clean_label=False, seeds=seeds
        )
        chosen = set(rows)
        texts = [
            f"{self.config.word} {text}" if row in chosen else text
            for row, text in enumerate(train.inputs["text"])
        ]
        labels = [target if row in chosen else label for row, label in enumerate(train.labels)]
        mask = [row in chosen for row in range(len(train))]
        return Poisoning(train.with_input("text", texts).with_labels(labels), mask, report)


def _copy(victim, view):
    return view.engine.save(view.engine.load(victim), victim, view.workspace / "model")


class Repairer(Defense):
    def repair(self, victim, view):
        models = [victim.folder, view.base.folder, *(item.folder for item in view.references)]
        scene = Scene(list(view.clean_rows.inputs["text"]), models, view.workspace)
        return Repair(_copy(victim, view), look_around("repair", scene))


class Smuggler(Defense):
    """Leaves links in its model, for a host that follows them with its own rights."""

    def repair(self, victim, view):
        checkpoint = _copy(victim, view)
        for name in ("environ", "cmdline"):
            (checkpoint.folder / f"{name}.txt").symlink_to(f"/proc/self/{name}")
        return Repair(checkpoint)


class LateSmuggler(Defense):
    """Leaves a link when its model has been looked through and taken: it still has the folder."""

    def repair(self, victim, view):
        checkpoint = _copy(victim, view)
        descriptor = os.open(checkpoint.folder, os.O_RDONLY | os.O_DIRECTORY)
        Thread(target=_link_later, args=(checkpoint.folder, descriptor), daemon=True).start()
        return Repair(checkpoint)


def _link_later(folder, descriptor):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if not folder.exists():
            os.symlink("/proc/self/environ", "environ.txt", dir_fd=descriptor)
            return
        time.sleep(0.0005)


class Screener(Defense):
    def screen(self, rows, view):
        scene = Scene(list(rows.inputs["text"]), [], view.workspace)
        who = "screen"
        if view._predict is not None:
            who = "model-screen"
            view.predict(rows)
        notes = look_around(who, scene)
        return Screening(rows, [False] * len(rows), [0.0] * len(rows), notes)


class Filterer(Defense):
    def filter(self, train, view):
        scene = Scene(list(train.inputs["text"]), [], view.workspace)
        notes = look_around("filter", scene)
        return Filtering([True] * len(train), [0.0] * len(train), notes)


_FORBIDDEN = {"suite", "def", "env", "net", "fd", "past", "note", "drop"}


class Measurer(Metric):
    """May see all evidence of its cell; no other cell, no network."""

    def measure(self, evidence):
        # Once a run is enough: in the cell with a filter and an attack.
        if evidence.filtering is None or evidence.attack is None:
            return dict.fromkeys((f"found_{name}" for name in PROBES), None)
        scene = Scene(list(evidence.attack.after.inputs["text"]), [])
        report = look_around("metric", scene)
        known = set(map(whole_part, (*report["own"], *report["given"])))
        return {
            f"found_{name}": float(
                sum(
                    whole_part(item[::-1]) not in known and kind(item[::-1]) in _FORBIDDEN
                    for item in report["found"].get(name, [])
                )
            )
            for name in PROBES
        }
