"""How much of what is granted was taken."""

from pathlib import Path

import pytest

from bdbench.api import Checkpoint, DefenderView, Needs, SeedStream


@pytest.mark.parametrize(
    ("take", "count"),
    [
        (len, None),
        (lambda given: given[0], 1),
        (lambda given: given[-1] is given[2], 1),
        (lambda given: given[:2], 2),
        (lambda given: given[:0], None),
        (list, 3),
        (lambda given: (*given[1:], given[1]), 2),
        (lambda given: next(iter(given)), 1),
    ],
)
def test_reference_models_count_when_they_are_taken(take, count):
    counts = []
    view = DefenderView(
        defense="d",
        needs=Needs(references=1),
        task=None,
        seeds=SeedStream(0),
        workspace=Path(),
        engine=None,
        references=[Checkpoint(Path(name)) for name in "abc"],
        drawn=lambda **taken: counts.append(taken["references"]),
    )
    take(view.references)
    assert (max(counts) if counts else None) == count
