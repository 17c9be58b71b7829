from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Examples, InputError, SeedStream
from bdbench_defense_finemixing.config import FineMixingConfig, FinePurifyingConfig
from bdbench_defense_finemixing.fine_mixing import FineMixing
from bdbench_defense_finemixing.fine_purifying import FinePurifying
from bdbench_defense_finemixing.search import choose_rho, divide


class Scripted:
    """A mixer whose models get a set number of the validation rows right."""

    def __init__(self, victim, by_rho):
        self.victim = "victim"
        self.engine = self
        self.right = {"victim": victim, **by_rho}
        self.fits = []
        self.validated = set()

    def load(self, checkpoint):
        return checkpoint

    def repaired(self, rho, rows):
        self.fits.append((rho, tuple(rows.ids)))
        return rho, rho

    def predict(self, module, like, rows):
        assert like == "victim"
        self.validated.add(tuple(rows.ids))
        wrong = len(rows) - self.right[module]
        return {"prediction": np.array([-1] * wrong + list(rows.labels[wrong:]))}


def rows_of(labels):
    return Examples({"text": [""] * len(labels)}, labels, list(range(len(labels))))


def search(victim, by_rho, **settings):
    mixer = Scripted(victim, by_rho)
    config = FineMixingConfig(grid=sorted(by_rho), **settings)
    parts = divide(rows_of([0, 1] * 20), config.validation_share, SeedStream(0))
    rho, notes = choose_rho(mixer, config, *parts)
    return rho, notes, mixer


def test_takes_the_smallest_rho_within_the_tolerance_and_stops_there():
    rho, notes, mixer = search(19, {0.1: 12, 0.2: 18, 0.3: 20, 0.5: 20})
    assert rho == 0.2
    assert notes == {
        "fit_rows": 20,
        "validation_rows": 20,
        "victim_accuracy": 0.95,
        "tried": [{"rho": 0.1, "accuracy": 0.6}, {"rho": 0.2, "accuracy": 0.9}],
        "within_tolerance": True,
    }
    assert [rho for rho, _ in mixer.fits] == [0.1, 0.2]


def test_without_tolerance_nothing_may_be_lost():
    assert search(19, {0.1: 18, 0.2: 19}, tolerance=0.0)[0] == 0.2


def test_where_none_is_within_the_tolerance_the_most_accurate_is_taken():
    rho, notes, _ = search(20, {0.1: 12, 0.2: 17, 0.3: 17, 0.5: 16})
    assert rho == 0.2
    assert notes["within_tolerance"] is False
    assert len(notes["tried"]) == 4


def test_no_row_both_fits_and_validates_and_all_candidates_have_the_same():
    _, _, mixer = search(20, {0.1: 1, 0.2: 2, 0.3: 3})
    [validation] = mixer.validated
    [fit] = {ids for _, ids in mixer.fits}
    assert sorted(fit + validation) == list(range(40))


@given(
    labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=60),
    share=st.floats(0.1, 0.9),
    root=st.integers(0, 9),
)
def test_the_parts_make_up_the_rows_and_have_each_label_s_share(labels, share, root):
    rows = rows_of(labels)
    fit, validation = divide(rows, share, SeedStream(root))
    assert sorted([*fit.ids, *validation.ids]) == rows.ids
    assert all(list(part.ids) == sorted(part.ids) for part in (fit, validation))
    taken = Counter(validation.labels)
    for label, count in Counter(labels).items():
        assert abs(taken[label] - share * count) < 1 + 1e-6
    again = divide(rows, share, SeedStream(root))[1]
    assert validation.ids == again.ids


def test_the_seeds_decide_the_parts():
    rows = rows_of([0, 1] * 20)
    parts = {tuple(divide(rows, 0.5, SeedStream(root))[1].ids) for root in range(5)}
    assert len(parts) == 5


def test_a_model_without_classes_cannot_be_searched():
    mixer = Scripted(0, {})
    mixer.predict = lambda *_: {"text": np.array([])}
    with pytest.raises(InputError, match="the model does not say classes"):
        choose_rho(mixer, FineMixingConfig(), rows_of([0] * 20), rows_of([0] * 20))


@pytest.mark.parametrize(
    ("kind", "config"), [(FineMixing, FineMixingConfig), (FinePurifying, FinePurifyingConfig)]
)
def test_the_final_model_is_that_of_the_chosen_rho_tuned_on_all_rows(repair, rows, kind, config):
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 2e-2}
    done = repair(kind, config(grid=[0.0, 0.5, 1.0], **settings), tunes=True)
    search = done.notes["search"]
    *trials, final = done.engine.fine_tunings
    assert len(trials) == len(search["tried"])
    assert {len(trial.rows) for trial in trials} == {20}
    assert final.rows.ids == rows.ids
    assert {trial.recipe for trial in (*trials, final)} == {config(**settings).recipe()}
    fixed = repair(kind, config(rho=done.notes["rho"], **settings), tunes=True)
    [alone] = fixed.engine.fine_tunings
    assert all(np.array_equal(final.before[name], alone.before[name]) for name in alone.before)
    chosen = SimpleNamespace(**search["tried"][-1])
    assert search["within_tolerance"] == (
        chosen.accuracy >= search["victim_accuracy"] - 0.05 - 1e-9
    )
    assert done.notes["rho_chosen"] == "on the clean rows"


def test_rows_that_validate_have_no_part_in_the_candidates(repair, rows):
    done = repair(FinePurifying, FinePurifyingConfig(grid=[0.5], epochs=1), tunes=True)
    fit, _ = divide(rows, 0.5, SeedStream(0, ("defense", "split")))
    without = repair(FinePurifying, FinePurifyingConfig(rho=0.5, epochs=1), rows=fit, tunes=True)
    trial, final = done.engine.fine_tunings
    [alone] = without.engine.fine_tunings
    assert all(np.array_equal(trial.before[name], alone.before[name]) for name in alone.before)
    # The final model's weights are chosen by all rows.
    assert any(not np.array_equal(final.before[name], alone.before[name]) for name in alone.before)
