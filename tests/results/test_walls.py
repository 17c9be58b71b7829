"""What a reader is told of results that were computed without walls."""

from __future__ import annotations

import pytest

from bdbench.api import Direction
from bdbench.api.specs import MetricValue
from bdbench.results.comparison import compare

ACCURACY = MetricValue(name="clean_accuracy", summary="Accuracy.", direction=Direction.HIGHER)
AGAIN = "where `bdbench doctor` finds walls, `bdbench run SUITE --home NEW` computes them again."
FILES = "in processes that could open any file of the user (process)"
INSIDE = "in the process of bdbench itself (none)"


@pytest.fixture
def notes_on(make_suite, make_record):
    def notes_on(*levels):
        records = [make_record(seed=seed, isolation=level) for seed, level in enumerate(levels)]
        found = compare(records, make_suite([ACCURACY]), "run-1", store=None)["notes"]
        return [note for note in found if "without walls" in note]

    return notes_on


@pytest.mark.parametrize(
    ("levels", "where"),
    [
        (("process",), FILES),
        (("none",), INSIDE),
        (("process", "namespace", "none"), f"{INSIDE} or {FILES}"),
    ],
)
def test_what_ran_without_walls_is_told_as_it_was_and_how_to_mend_it(notes_on, levels, where):
    (note,) = notes_on(*levels)

    assert note.startswith(f"components ran without walls, {where}: ")
    assert note.endswith(AGAIN)


@pytest.mark.parametrize("level", ["landlock", "namespace"])
def test_behind_walls_nothing_is_said(notes_on, level):
    assert notes_on(level) == []
