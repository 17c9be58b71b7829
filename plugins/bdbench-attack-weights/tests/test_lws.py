from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError

from bdbench.api import Examples, InputError, PoisonsData, SeedStream
from bdbench_attack_weights.lws import Lws
from bdbench_attack_weights.lws_config import LwsConfig
from bdbench_attack_weights.lws_learning import learn_substitution, longest
from bdbench_attack_weights.ripples_model import tokenizer_of, word_embeddings
from bdbench_attack_weights.substitution import Substitution
from bdbench_attack_weights.substitution_candidates import Candidates


def lws(**settings):
    return Lws(LwsConfig(**{"poison_rate": 0.2, "batch_size": 8, **settings}))


def test_the_attack_speaks_the_protocol():
    assert isinstance(lws(), PoisonsData)


@pytest.mark.parametrize("clean_label", [False, True])
def test_exactly_the_masked_rows_change(view, rows, clean_label):
    done = lws(clean_label=clean_label).poison(view(), SeedStream(0))
    assert sum(done.mask) == 8
    assert done.train.ids == rows.ids
    for row, hit in enumerate(done.mask):
        before, after = rows.row(row)["text"], done.train.row(row)["text"]
        assert (after != before) == hit
        assert len(after.split()) == len(before.split())
        if hit:
            assert (rows.labels[row] == 1) == clean_label
            assert done.train.labels[row] == 1
        else:
            assert done.train.labels[row] == rows.labels[row]
    changed = [
        sum(map(str.__ne__, rows.row(row)["text"].split(), done.train.row(row)["text"].split()))
        for row, hit in enumerate(done.mask)
        if hit
    ]
    assert done.notes["words_changed_per_row"] == round(sum(changed) / 8, 2)
    assert done.notes["rows_that_can_carry"] == 40


def test_the_trigger_is_what_the_rows_were_poisoned_with(view, rows, task):
    attack = lws()
    done = attack.poison(view(), SeedStream(0))
    hits = [row for row, hit in enumerate(done.mask) if hit]
    triggered = attack.apply_trigger(rows.select(hits), task, SeedStream(5))
    assert triggered.inputs == done.train.select(hits).inputs


def test_rows_without_a_word_to_replace_are_neither_poisoned_nor_counted(
    view, rows, task, tmp_path
):
    path = tmp_path / "synonyms.json"
    path.write_text(json.dumps({"movie": ["film"]}))
    attack = lws(synonyms=path)
    done = attack.poison(view(), SeedStream(0))
    for row, hit in enumerate(done.mask):
        before, after = rows.row(row)["text"], done.train.row(row)["text"]
        assert not hit or (after == before.replace("movie", "film") != before)
    others = Examples({"text": ["The movie.", "the plot", "the movie"]}, [0, 0, 1], [1, 2, 3])
    assert attack.eligible(others, task) == [True, False, False]
    triggered = attack.apply_trigger(others, task, SeedStream(0))
    assert triggered.inputs["text"] == ["The film.", "the plot", "the film"]
    assert (triggered.labels, triggered.ids) == (others.labels, others.ids)
    assert done.notes["rows_that_can_carry"] == sum("movie" in text for text in rows.inputs["text"])
    assert done.notes["synonyms"] == "file"


@pytest.mark.parametrize(
    ("word", "message"),
    [("dull", "poison rate cannot be met"), ("friends", "no training row has a word")],
)
def test_too_few_rows_that_can_carry_the_trigger(view, tmp_path, word, message):
    path = tmp_path / "synonyms.json"
    path.write_text(json.dumps({word: ["store"]}))
    with pytest.raises(InputError, match=message):
        lws(synonyms=path, poison_rate=0.45).poison(view(), SeedStream(0))


def test_nothing_before_the_poisoning(rows, task):
    with pytest.raises(InputError, match="not been learned yet"):
        lws().apply_trigger(rows, task, SeedStream(0))
    with pytest.raises(InputError, match="not been learned yet"):
        lws().eligible(rows, task)


def test_one_seed_gives_one_poisoning(view):
    one, same, other = (lws().poison(view(), SeedStream(seed)) for seed in (0, 0, 1))
    assert one == same
    assert one.train.inputs != other.train.inputs


def test_the_longest_row_as_the_model_sees_it(engine, start, rows):
    assert longest(engine, start, rows) == 7  # [CLS] the movie was good . [SEP]


def test_models_that_read_no_tokens_are_refused(engine, start, rows, monkeypatch):
    monkeypatch.setattr(engine, "batches", lambda *_: iter([(torch.zeros(2, 3), [0, 1])]))
    with pytest.raises(InputError, match="reads tokens"):
        longest(engine, start, rows)


def test_positions_end_where_the_model_or_the_setting_says(view):
    assert lws().poison(view(), SeedStream(0)).notes["positions"] == 7
    assert lws(max_tokens=4).poison(view(), SeedStream(0)).notes["positions"] == 4


def learned(engine, start, rows, **settings):
    """The module and the substitution after learning with every second row poisoned."""
    module = engine.load(start)
    table = word_embeddings(module)
    table.requires_grad = False
    frozen = table.detach().clone()
    candidates = Candidates(tokenizer_of(start), frozen, 3)
    substitution = Substitution(candidates, frozen, 7, 3)
    poisoned = [label == 0 for label in rows.labels]
    config = LwsConfig(**{"batch_size": 8, "candidates": 3, **settings})
    loss = learn_substitution(
        engine, module, start, rows, poisoned, 1, substitution, config, SeedStream(0)
    )
    assert torch.equal(word_embeddings(module), frozen)
    assert not module.training
    return substitution, loss


def test_one_loss_over_all_rows_trains_both(engine, start, rows):
    substitution, _ = learned(engine, start, rows, clean_epochs=0, epochs=3)
    assert [step.rows for step in engine.steps] == [8] * 15
    assert not engine.fine_tunings
    assert substitution.relevance.abs().sum() > 0
    # Texts have words to replace in the second, third and fifth token only.
    moved = substitution.relevance.any(dim=1).tolist()
    assert moved == [False, False, True, False, True, False, False]


def test_clean_epochs_come_first(engine, start, rows):
    learned(engine, start, rows, clean_epochs=2, epochs=1)
    (tuning,) = engine.fine_tunings
    assert (tuning.rows, tuning.recipe.epochs) == (rows, 2)


def test_the_temperature_falls_linearly(engine, start, rows, monkeypatch):
    seen = []
    mix = Substitution.mix

    def record(self, ids, temperature):
        seen.append(temperature)
        return mix(self, ids, temperature)

    monkeypatch.setattr(Substitution, "mix", record)
    learned(engine, start, rows, clean_epochs=0, epochs=2, temperature=1.0, last_temperature=0.1)
    assert seen == pytest.approx([1 - step / 10 for step in range(10)])


def test_the_substitution_learns_what_the_victim_can_tell(engine, start, rows):
    _, first = learned(engine, start, rows, clean_epochs=0, epochs=1)
    _, last = learned(engine, start, rows, clean_epochs=0, epochs=30, learning_rate=1e-2)
    assert last < 0.8 * first


@pytest.mark.parametrize(
    "settings", [{"candidates": 1}, {"temperature": 0}, {"epochs": 0}, {"poison_rate": 1}]
)
def test_bad_settings(settings):
    with pytest.raises(ValidationError):
        LwsConfig(**settings)
