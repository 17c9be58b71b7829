"""The tuning budget: settings are chosen on the defender's clean rows, and the cost is counted."""

from __future__ import annotations

from typing import ClassVar

import pytest
import safetensors.torch
from pydantic import Field

from bdbench.api import (
    Access,
    Checkpoint,
    ComponentConfig,
    Defense,
    DefenseSpec,
    DefenseStage,
    Needs,
    Repair,
)
from bdbench.engine.tuning import halves

MODEL = "model.safetensors"


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
@pytest.mark.parametrize("rows", [64, 61])
def test_bothhalves_have_as_many_of_each_class(classes, rows):
    labels = [row % classes for row in range(rows)]

    fit, check = halves(labels)

    assert sorted(fit + check) == list(range(rows))
    assert len(fit) == rows // 2
    for label in range(classes):
        counts = [sum(labels[row] == label for row in half) for half in (fit, check)]
        assert abs(counts[0] - counts[1]) <= 1


class Share(ComponentConfig):
    keep: float = Field(default=1.0, description="What every weight is multiplied by.")


class Shrink(Defense):
    """With small weights a model answers as before, without any it gives one class to all."""

    seen: ClassVar[list[list[int]]] = []

    def repair(self, victim, view):
        self.seen.append(list(view.clean_rows.ids))
        weights = safetensors.torch.load_file(victim.folder / MODEL)
        folder = view.workspace / "model"
        folder.mkdir()
        changed = {name: value * self.config.keep for name, value in weights.items()}
        safetensors.torch.save_file(changed, folder / MODEL)
        return Repair(Checkpoint(folder), {"kept": self.config.keep})


@pytest.fixture
def shrink(bench, splits):
    """Repairs a victim with shares to choose from, gentlest first: (notes, meta, rows seen)."""

    def shrink(*shares, tolerance=0.02):
        part = bench.part(
            DefenseSpec,
            Shrink,
            rules=Share,
            stages=frozenset({DefenseStage.REPAIR}),
            needs=Needs(access=Access.WEIGHTS, clean_rows=2),
        )
        part["trials"] = [{"tried": {"keep": share}, "config": {"keep": share}} for share in shares]
        data = bench.data(splits(train=80))
        settings = {
            "filters": [],
            "repairs": [part],
            "clean_rows": 8,
            "tuning": {"tolerance": tolerance},
            **bench.training(),
        }
        # Until it makes no mistake on rows like these.
        trained = bench.training(epochs=20, learning_rate=0.1)
        victim = bench.run("victim", trained, (0, "victim"), data=data)
        Shrink.seen = []
        key = bench.run("treated", settings, (0, "defense"), data=data, victim=victim)
        meta = bench.store.meta(key)
        return meta["notes"][part["label"]], meta, Shrink.seen

    return shrink


def test_the_strongest_setting_that_keeps_the_accuracy_is_taken(shrink):
    notes, meta, _ = shrink(1.0, 0.5, 0.0)

    assert notes["kept"] == 0.5
    assert notes["tuning"]["chosen"] == {"keep": 0.5}
    assert [item["accuracy"] for item in notes["tuning"]["tried"]] == [1.0, 1.0, 0.5]
    assert meta["values"]["selection"] == ["clean_val", "fixed"]


def test_if_none_keeps_it_the_gentlest_is_taken(shrink):
    assert shrink(1.0, 0.5, tolerance=-1.0)[0]["kept"] == 1.0


def test_what_may_be_lost_is_the_suites_to_say(shrink):
    assert shrink(1.0, 0.0, tolerance=1.0)[0]["kept"] == 0.0


def test_trials_see_half_of_the_clean_rows_and_the_repair_all_of_them(shrink):
    _, _, seen = shrink(1.0, 0.5)

    one, other, last = seen
    assert one == other
    assert len(one) == 4
    assert set(one) < set(last)
    assert len(last) == 8


def test_trials_are_counted_as_the_defenses_cost(shrink):
    cost = shrink(1.0, 0.5, 0.25)[1]["cost"]

    assert cost["tuning_trials"] == 3
    # The victim and each of three repaired models, on the other half of eight rows.
    assert cost["forward_rows"] == 4 * 4
