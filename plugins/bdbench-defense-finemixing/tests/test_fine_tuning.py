from __future__ import annotations

import pytest
import torch

from bdbench.api import InputError, RepairsModel
from bdbench_defense_finemixing.config import FineTuningConfig
from bdbench_defense_finemixing.fine_tuning import FineTuning


def test_is_one_tuning_of_the_victim_on_all_clean_rows(repair, read, victim, rows):
    config = FineTuningConfig(epochs=3, batch_size=8, learning_rate=1e-2)
    done = repair(FineTuning, config, tunes=True)
    [tuning] = done.engine.fine_tunings
    before = read(victim)
    assert tuning.rows.ids == rows.ids
    assert tuning.recipe == config.recipe()
    assert all(torch.equal(tuning.before[name], before[name]) for name in before)
    after = read(done.result.checkpoint)
    assert all(
        not torch.equal(after[f"classifier.{part}"], before[f"classifier.{part}"])
        for part in ("weight", "bias")
    )
    assert done.notes == {"clean_rows": 40}
    assert issubclass(FineTuning, RepairsModel)


def test_its_seeds_decide(repair, read):
    config = FineTuningConfig(epochs=1, batch_size=8, learning_rate=1e-2)
    one, again, other = (
        read(repair(FineTuning, config, tunes=True, root=root).result.checkpoint)
        for root in (0, 0, 1)
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_too_few_rows(repair, rows):
    with pytest.raises(InputError, match=r"fine-tuning: too few clean rows\. Found 7 granted"):
        repair(FineTuning, FineTuningConfig(), rows=rows.select(range(7)))
