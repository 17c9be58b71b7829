from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM

from bdbench.api import Checkpoint, InputError, NonFiniteError, NotGrantedError, RepairsModel
from bdbench_defense_finemixing import e_pur
from bdbench_defense_finemixing.config import EPurConfig, FineMixingConfig
from bdbench_defense_finemixing.e_pur import EPur
from bdbench_defense_finemixing.fine_mixing import FineMixing
from bdbench_defense_finemixing.frequencies import word_frequencies

NAME = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(autouse=True)
def _few_words(monkeypatch):
    """Encoding all 300,000 words takes seconds; a few of them show as much."""

    def few(language):
        listed = word_frequencies(language)
        return {word: listed[word] for word in ("the", "a", "film", "was", "good", "cf", "7", ".")}

    monkeypatch.setattr(e_pur, "word_frequencies", few)


@pytest.fixture
def number(base):
    return Tokenizer.from_file(str(base.folder / "tokenizer.json")).token_to_id


@pytest.fixture
def move(base, change, read):
    """A victim that is the base but for some rows of its word embeddings."""

    def move(name, lengths):
        embedding = read(base)[NAME].clone()
        for row, length in lengths.items():
            embedding[row, 0] += length
        return change(base, name, **{NAME: embedding})

    return move


def rows_put_back(read, repaired, victim):
    return (read(repaired)[NAME] != read(victim)[NAME]).any(dim=1).nonzero().flatten().tolist()


def test_finds_the_rare_word_that_moved(repair, read, base, move, number):
    victim = move("victim2", {number("cf"): 0.3, number("the"): 0.4, number("good"): 0.35})
    done = repair(EPur, EPurConfig(count=1), victim=victim)
    assert rows_put_back(read, done.result.checkpoint, victim) == [number("cf")]
    assert torch.equal(
        read(done.result.checkpoint)[NAME][number("cf")], read(base)[NAME][number("cf")]
    )
    highest = done.notes["highest_scores"][0]
    assert [one["token"] for one in done.notes["highest_scores"][:1]] == ["cf"]
    assert highest["change"] == pytest.approx(0.3, rel=1e-6)
    assert highest["score"] == pytest.approx(0.3 / math.log(highest["count"]), rel=1e-6)
    assert done.notes["tokens_scored"] == 27
    assert done.notes["tokens_put_back"] == 1
    assert done.notes["lowest_score_put_back"] == highest["score"]
    assert len(done.notes["highest_scores"]) == 20
    assert json.loads(json.dumps(done.notes)) == done.notes


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rare=st.sampled_from(["cf", "tq", "#", "dull"]), draw=st.integers(0, 1000))
def test_finds_one_far_move_among_small_ones(
    tmp_path_factory, repair, read, base, number, rare, draw
):
    folder = tmp_path_factory.mktemp("victim")
    for path in base.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state, noise = read(base), torch.Generator().manual_seed(draw)
    state[NAME] = state[NAME] + 0.01 * torch.rand(state[NAME].shape, generator=noise)
    state[NAME][number(rare)] += 0.2
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    done = repair(EPur, EPurConfig(count=1), victim=Checkpoint(folder))
    assert rows_put_back(read, done.result.checkpoint, Checkpoint(folder)) == [number(rare)]


def test_scores_all_tokens_by_the_formula(repair, read, victim, base, number):
    config = EPurConfig(count=9, corpus_words=1e6, least_count=30)
    done = repair(EPur, config)
    counts = {one["token"]: one["count"] for one in done.notes["highest_scores"]}
    change = np.linalg.norm((read(victim)[NAME] - read(base)[NAME]).double().numpy(), axis=1)
    for one in done.notes["highest_scores"]:
        moved = change[number(one["token"])]
        assert one["change"] == pytest.approx(moved, rel=1e-5)
        assert one["score"] == pytest.approx(moved / math.log(one["count"]), rel=1e-5)
    scores = [one["score"] for one in done.notes["highest_scores"]]
    assert scores == sorted(scores, reverse=True)
    assert min(counts.values()) == 30
    reset = sorted(number(one["token"]) for one in done.notes["highest_scores"][:9])
    assert rows_put_back(read, done.result.checkpoint, victim) == reset


def test_leaves_special_tokens_and_rows_of_no_token(repair, read, victim, base):
    done = repair(EPur, EPurConfig())  # 200 are more than there are
    after, ours, theirs = (read(one)[NAME] for one in (done.result.checkpoint, victim, base))
    assert torch.equal(after[5:32], theirs[5:32])
    assert torch.equal(after[:5], ours[:5])
    assert torch.equal(after[32:], ours[32:])
    assert not torch.equal(ours[:5], theirs[:5])
    assert done.notes["tokens_put_back"] == 27
    assert done.notes["parameters_changed"] == 27 * 8


def test_changes_nothing_else(repair, read, victim):
    done = repair(EPur, EPurConfig(count=5))
    after, ours = read(done.result.checkpoint), read(victim)
    assert all(torch.equal(after[name], ours[name]) for name in ours if name != NAME)
    files = {path.name for path in victim.folder.iterdir()}
    assert {path.name for path in done.result.checkpoint.folder.iterdir()} == files
    assert done.engine.fine_tunings == []
    assert issubclass(EPur, RepairsModel)


def test_composes_with_fine_mixing(repair, read, move, number, base):
    victim = move("victim2", {number("cf"): 0.3})
    first = repair(EPur, EPurConfig(count=1), victim=victim)
    second = repair(FineMixing, FineMixingConfig(rho=1), victim=first.result.checkpoint)
    assert torch.equal(read(second.result.checkpoint)[NAME], read(base)[NAME])


def test_keeps_half_precision(repair, read, victim, base, change):
    halves = [
        change(one, f"{one.folder.name}16", **{k: v.bfloat16() for k, v in read(one).items()})
        for one in (victim, base)
    ]
    done = repair(EPur, EPurConfig(count=3), victim=halves[0], base=halves[1])
    after, ours, theirs = (read(one)[NAME] for one in (done.result.checkpoint, *halves))
    assert after.dtype == torch.bfloat16
    rows = rows_put_back(read, done.result.checkpoint, halves[0])
    assert len(rows) == 3
    assert torch.equal(after[rows], theirs[rows])
    rest = [row for row in range(35) if row not in rows]
    assert torch.equal(after[rest], ours[rest])


def test_tied_weights_follow(tmp_path, repair, base):
    config = BertConfig(
        vocab_size=35,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
    )
    models = []
    for seed in range(2):
        folder = tmp_path / f"tied {seed}"
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
        (folder / "tokenizer.json").write_bytes((base.folder / "tokenizer.json").read_bytes())
        models.append(Checkpoint(folder))
    done = repair(EPur, EPurConfig(count=4), victim=models[0], base=models[1])
    model = BertForMaskedLM.from_pretrained(done.result.checkpoint.folder)
    embedding = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is embedding
    ours, theirs = (load_file(one.folder / "model.safetensors")[NAME] for one in models)
    changed = (embedding != ours).any(dim=1)
    assert int(changed.sum()) == 4
    assert torch.equal(embedding[changed], theirs[changed])


def renamed(change, checkpoint, name, tensors, drop=()):
    made = change(checkpoint, name, **tensors)
    path = made.folder / "model.safetensors"
    kept = {key: value for key, value in load_file(path).items() if key not in drop}
    save_file(kept, path, metadata={"format": "pt"})
    return made


def test_an_embedding_of_another_name_can_be_named(repair, read, victim, base, change):
    models = [
        renamed(change, one, f"{one.folder.name}2", {"lookup": read(one)[NAME]}, drop=[NAME])
        for one in (victim, base)
    ]
    granted = {"victim": models[0], "base": models[1]}
    with pytest.raises(InputError, match=r"^e-pur: embedding: .* Found none\."):
        repair(EPur, EPurConfig(), **granted)
    done = repair(EPur, EPurConfig(count=2, embedding="lookup"), **granted)
    assert done.notes["embedding"] == "lookup"
    changed = (read(done.result.checkpoint)["lookup"] != read(models[0])["lookup"]).any(dim=1)
    assert int(changed.sum()) == 2


def test_two_embeddings_are_refused_by_name(repair, read, victim, base, change):
    models = [
        change(one, f"{one.folder.name}2", **{"decoder.embed_tokens.weight": read(one)[NAME]})
        for one in (victim, base)
    ]
    with pytest.raises(InputError, match=r"Found (bert\.|decoder\.).*, (bert\.|decoder\.)"):
        repair(EPur, EPurConfig(), victim=models[0], base=models[1])


def test_an_embedding_with_too_few_rows_is_none(repair, read, victim, base, change):
    models = [
        change(one, f"{one.folder.name}2", **{NAME: read(one)[NAME][:31].clone()})
        for one in (victim, base)
    ]
    with pytest.raises(InputError, match="at least 32 rows"):
        repair(EPur, EPurConfig(), victim=models[0], base=models[1])


@pytest.mark.parametrize("content", [None, b"{}", b"no json"])
def test_a_vocabulary_is_needed(repair, victim, base, change, content):
    models = [change(one, f"{one.folder.name}2") for one in (victim, base)]
    for one in models:
        (one.folder / "tokenizer.json").unlink()
        if content is not None:
            (one.folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"^e-pur: .*tokenizer.json: there is no vocabulary"):
        repair(EPur, EPurConfig(), victim=models[0], base=models[1])


def test_a_base_of_another_shape_or_with_nan_is_refused(repair, read, base, change):
    other = change(base, "other", **{NAME: torch.zeros(36, 8)})
    with pytest.raises(InputError, match=r"^base weights: .*'bert.embeddings.word_embeddings"):
        repair(EPur, EPurConfig(), base=other)
    bad = change(base, "bad", **{NAME: torch.full_like(read(base)[NAME], math.nan)})
    with pytest.raises(NonFiniteError, match=r"^base weights: "):
        repair(EPur, EPurConfig(), base=bad)


def test_the_base_must_be_granted(repair):
    with pytest.raises(NotGrantedError, match="base_weights=True"):
        repair(EPur, EPurConfig(), base=None)


def test_an_unknown_language_is_refused(repair):
    with pytest.raises(InputError, match=r"^e-pur: language: .* Found 'xx'\. Expected one of ar, "):
        repair(EPur, EPurConfig(language="xx"))
