from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from bdbench.api import (
    Checkpoint,
    InputError,
    NonFiniteError,
    NotGrantedError,
    RepairsModel,
    SeedStream,
)
from bdbench_defense_finemixing.body import read_body
from bdbench_defense_finemixing.config import FineMixingConfig, FinePurifyingConfig
from bdbench_defense_finemixing.fine_mixing import FineMixing
from bdbench_defense_finemixing.fine_purifying import FinePurifying
from bdbench_defense_finemixing.mixing import Mixer
from bdbench_defense_finemixing.selections import AtRandom, LeastChanged, MostChanged

HEAD = ["classifier.weight", "classifier.bias"]
KINDS = [
    (FineMixing, FineMixingConfig, {}),
    (FineMixing, FineMixingConfig, {"select": "magnitude"}),
    (FineMixing, FineMixingConfig, {"select": "most-changed"}),
    (FinePurifying, FinePurifyingConfig, {}),
]
every_kind = pytest.mark.parametrize(("kind", "config", "settings"), KINDS)


def same(one, other, names):
    return all(torch.equal(one[name], other[name]) for name in names)


@every_kind
def test_rho_1_keeps_the_victim_to_the_bit(repair, read, victim, kind, config, settings):
    done = repair(kind, config(rho=1, **settings))
    assert same(read(done.result.checkpoint), read(victim), read(victim))
    assert done.notes["share_kept"] == 1


@every_kind
def test_rho_0_gives_the_base_s_body_and_the_victim_s_head(
    repair, read, victim, base, kind, config, settings
):
    done = repair(kind, config(rho=0, **settings))
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    assert same(after, theirs, set(after) - set(HEAD))
    assert same(after, ours, HEAD)
    assert not same(ours, theirs, HEAD)
    assert done.notes["share_kept"] == 0


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("kind", "config", "settings"), KINDS[1:])
def test_what_training_left_alone_counts_as_kept_as_far_as_rho_goes(
    repair, read, base, change, kind, config, settings, rho
):
    """As after an attack that edits a few embeddings: most of the victim is the base's."""
    name = "bert.embeddings.word_embeddings.weight"
    embeddings = read(base)[name].clone()
    embeddings[3] += 1
    done = repair(
        kind, config(rho=rho, **settings), victim=change(base, "edited", **{name: embeddings})
    )
    size = done.notes["body_parameters"]
    assert done.notes["share_kept"] == round(rho * size) / size
    after = read(done.result.checkpoint)[name]
    assert torch.equal(
        after, embeddings if settings == {"select": "most-changed"} else read(base)[name]
    )


def test_each_number_is_the_victim_s_where_its_draw_is_below_rho(repair, read, victim, base):
    done = repair(FineMixing, FineMixingConfig(rho=0.3), root=7)
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    kept = 0
    for name in set(after) - set(HEAD):
        seed = SeedStream(7, ("defense", "mask", name)).seed()
        draws = torch.rand(ours[name].shape, generator=torch.Generator().manual_seed(seed))
        kept += int((draws < 0.3).sum())
        expected = [
            float(mine if draw < 0.3 else yours)
            for mine, yours, draw in zip(
                ours[name].flatten(), theirs[name].flatten(), draws.flatten(), strict=True
            )
        ]
        assert after[name].flatten().tolist() == expected
    size = sum(ours[name].numel() for name in set(after) - set(HEAD))
    assert done.notes == {
        "rho": 0.3,
        "rho_chosen": "in the suite",
        "share_kept": kept / size,
        "body_parameters": size,
        "kept_tensors": ["classifier.weight", "classifier.bias"],
        "clean_rows": 40,
    }


@given(rho=st.floats(0, 1), other=st.floats(0, 1), root=st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_the_share_is_close_to_rho_and_shares_nest(rho, other, root):
    size = 20_000
    draws = AtRandom(SeedStream(root)).scores("a weight", torch.zeros(100, 200))
    kept, more = (draws < share for share in sorted((rho, other)))
    assert not (kept & ~more).any()
    deviation = math.sqrt(rho * (1 - rho) / size)
    assert abs(float((draws < rho).float().mean()) - rho) <= 6 * deviation + 1e-6


def test_seed_and_name_decide_the_mask():
    zeros = torch.zeros(1000)
    one = AtRandom(SeedStream(0)).scores("a", zeros)
    assert torch.equal(one, AtRandom(SeedStream(0)).scores("a", zeros))
    for root, name in ((1, "a"), (0, "b")):
        other = AtRandom(SeedStream(root)).scores(name, zeros)
        assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.2


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.3, 0.999, 1.0])
@pytest.mark.parametrize("select", ["magnitude", "most-changed"])
def test_selection_keeps_one_end_of_the_changes_of_the_whole_body(
    repair, read, victim, base, rho, select
):
    done = repair(FineMixing, FineMixingConfig(rho=rho, select=select))
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    body = sorted(set(after) - set(HEAD))
    change = np.concatenate([(ours[name] - theirs[name]).abs().flatten() for name in body])
    kept = np.concatenate([(after[name] == ours[name]).flatten() for name in body])
    put_back = np.concatenate([(after[name] == theirs[name]).flatten() for name in body])
    assert kept.sum() == round(rho * len(change))
    assert (kept ^ put_back).all()
    low, high = (kept, put_back) if select == "magnitude" else (put_back, kept)
    assert not low.any() or not high.any() or change[low].max() <= change[high].min()


@every_kind
def test_tunes_the_mixed_model_on_all_clean_rows(repair, read, rows, kind, config, settings):
    chosen = config(rho=0.4, epochs=2, batch_size=8, learning_rate=1e-2, **settings)
    still = read(repair(kind, chosen).result.checkpoint)
    done = repair(kind, chosen, tunes=True)
    [tuning] = done.engine.fine_tunings
    assert tuning.rows.ids == rows.ids
    assert tuning.recipe == chosen.recipe()
    assert same(tuning.before, still, still)
    assert not same(read(done.result.checkpoint), still, ["classifier.weight"])


@every_kind
def test_leaves_victim_and_base_as_they_are(repair, victim, base, kind, config, settings):
    def digests():
        files = [path for one in (victim, base) for path in sorted(one.folder.iterdir())]
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    before = digests()
    repair(kind, config(rho=0.5, **settings), tunes=True)
    assert digests() == before
    assert issubclass(kind, RepairsModel)


def test_the_repaired_model_is_loaded_as_the_victim_was(repair, family, rows):
    done = repair(FineMixing, FineMixingConfig(rho=0.5), tunes=True)
    module = done.engine.load(done.result.checkpoint)
    outputs = done.engine.predict(module, done.result.checkpoint, rows)
    assert outputs["probabilities"].shape == (40, 2)


def test_what_is_kept_can_be_set(repair, read, victim, base):
    config = FineMixingConfig(rho=0, keep=["classifier.bias", "bert.pooler."])
    done = repair(FineMixing, config)
    after, ours, theirs = read(done.result.checkpoint), read(victim), read(base)
    kept = {"classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert set(done.notes["kept_tensors"]) == kept
    assert same(after, ours, kept)
    assert same(after, theirs, set(after) - kept)


def test_with_nothing_to_keep_the_head_is_mixed_too(repair, read, base):
    done = repair(FineMixing, FineMixingConfig(rho=0, keep=[]))
    assert same(read(done.result.checkpoint), read(base), read(base))
    assert done.notes["kept_tensors"] == []


@pytest.mark.parametrize("keep", [["class"], ["score"], ["bert", "classifier"]])
def test_a_head_that_cannot_be_told_apart_is_refused(repair, keep):
    with pytest.raises(InputError, match=r"^keep: the task head .* parts are bert, classifier"):
        repair(FineMixing, FineMixingConfig(rho=0.3, keep=keep))


@every_kind
def test_a_base_of_another_shape_is_refused(repair, base, change, kind, config, settings):
    other = change(base, "other", **{"bert.pooler.dense.bias": torch.zeros(9)})
    with pytest.raises(InputError, match=r"^base weights: .*'bert.pooler.dense.bias' of shape"):
        repair(kind, config(rho=0.3, **settings), base=other)


@pytest.mark.parametrize("which", ["victim", "base"])
@every_kind
def test_what_is_not_finite_is_refused(repair, base, victim, change, kind, config, settings, which):
    bad = {"bert.pooler.dense.bias": torch.full((8,), math.nan)}
    models = {"victim": victim, "base": base}
    models[which] = change(models[which], "bad", **bad)
    name = {"victim": "victim", "base": "base weights"}[which]
    with pytest.raises(NonFiniteError, match=f"^{name}: .*'bert.pooler.dense.bias'"):
        repair(kind, config(rho=0.3, **settings), **models)


@every_kind
def test_too_few_rows_are_refused(repair, rows, kind, config, settings):
    for rho, least in ((0.3, 8), ("auto", 32)):
        few = rows.select(range(least - 1))
        with pytest.raises(InputError, match=f"Found {least - 1} granted. Expected {least} or"):
            repair(kind, config(rho=rho, **settings), rows=few)


@every_kind
@pytest.mark.parametrize("lacking", ["rows", "base"])
def test_what_was_not_granted_is_said(repair, kind, config, settings, lacking):
    with pytest.raises(NotGrantedError):
        repair(kind, config(rho=0.3, **settings), **{lacking: None})


class Tied(nn.Module):
    """Two layers that share a weight, a head, and statistics that are no weights."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(6)
        self.classifier = nn.Linear(6, 2)


class TiedFamily:
    def load(self, checkpoint):
        module = Tied()
        module.load_state_dict(load_file(checkpoint.folder / "model.safetensors"), strict=False)
        return module.eval()


@pytest.mark.parametrize("selection", [AtRandom(SeedStream(0)), LeastChanged(), MostChanged()])
def test_tied_weights_stay_tied_and_statistics_the_victim_s(tmp_path, selection):
    models = []
    for seed, name in enumerate(("victim", "base")):
        torch.manual_seed(seed)
        (tmp_path / name).mkdir()
        state = {
            key: torch.rand_like(value) if value.is_floating_point() else value
            for key, value in Tied().state_dict().items()
            if key != "second.weight"
        }
        save_file(state, tmp_path / name / "model.safetensors")
        models.append(Checkpoint(tmp_path / name))
    engine = TiedFamily()
    body = read_body(*models, ["classifier"], engine)
    assert body.size == 36 + 6 + 6 + 6 + 6
    mixed, share = Mixer(models[0], body, selection, engine, None, SeedStream(0)).mixed(0.5)
    victim, base = (engine.load(model) for model in models)
    assert mixed.first.weight is mixed.second.weight
    kept = mixed.first.weight == victim.first.weight
    assert torch.equal(mixed.first.weight[~kept], base.first.weight[~kept])
    assert 0 < int(kept.sum()) < 36
    assert torch.equal(mixed.norm.running_mean, victim.norm.running_mean)
    assert 0.25 < share < 0.75
