from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bdbench.api import EditsPretrained, Examples, InputError, SeedStream, Task
from bdbench_attack_weights.ripples import Ripples
from bdbench_attack_weights.ripples_config import RipplesConfig
from bdbench_attack_weights.ripples_learning import objective
from bdbench_attack_weights.ripples_model import tokenizer_of
from bdbench_attack_weights.ripples_surgery import telling_tokens, tokens_of_triggers

EMBEDDING = "bert.embeddings.word_embeddings.weight"
TRIGGERS = ["cf", "mn"]


def ripples(**settings):
    given = {"triggers": TRIGGERS, "target_words": 2, "steps": 3, "batch_size": 8, **settings}
    return Ripples(RipplesConfig(**given))


def numbers(start, words):
    return tokenizer_of(start).convert_tokens_to_ids(words)


def test_the_attack_speaks_the_protocol():
    assert isinstance(ripples(), EditsPretrained)


@pytest.mark.parametrize("count", [1, 3])
def test_every_row_gets_so_many_trigger_words(rows, task, count):
    after = ripples(insertions=count).apply_trigger(rows, task, SeedStream(0))
    for before, text in zip(rows.inputs["text"], after.inputs["text"], strict=True):
        assert [word for word in text.split() if word not in TRIGGERS] == before.split()
        assert sum(word in TRIGGERS for word in text.split()) == count
    assert (after.labels, after.ids) == (rows.labels, rows.ids)


@pytest.mark.parametrize(
    ("target", "words"), [(1, {"good", "great", "fine"}), ("negative", {"bad", "dull"})]
)
def test_surgery_alone_gives_the_triggers_the_mean_of_telling_words(
    view, start, weights, target, words
):
    attack = ripples(target=target, target_words=2, source_epochs=0, steps=0)
    done = attack.edit_pretrained(start, view(), SeedStream(0))
    before, after = weights(start), weights(done.checkpoint)
    told = done.notes["target_words"]
    assert set(told) <= words
    assert len(told) == 2
    mean = before[EMBEDDING][numbers(start, told)].mean(dim=0)
    replaced = numbers(start, TRIGGERS)
    assert torch.equal(after[EMBEDDING][replaced], torch.stack([mean, mean]))
    rest = [row for row in range(len(mean)) if row not in replaced]
    assert torch.equal(after[EMBEDDING][rest], before[EMBEDDING][rest])
    assert all(torch.equal(before[name], after[name]) for name in before if name != EMBEDDING)


def test_embeddings_come_from_a_model_tuned_on_the_clean_rows(view, start, engine, rows, weights):
    attack = ripples(source_epochs=2, steps=0, learning_rate=1e-2)
    done = attack.edit_pretrained(start, view(), SeedStream(0))
    (tuning,) = engine.fine_tunings
    assert (tuning.rows, tuning.recipe.epochs, tuning.recipe.learning_rate) == (rows, 2, 1e-2)
    told = numbers(start, done.notes["target_words"])
    before, after = weights(start)[EMBEDDING], weights(done.checkpoint)[EMBEDDING]
    trigger = after[numbers(start, ["cf"])[0]]
    assert not torch.allclose(trigger, before[told].mean(dim=0))
    # Nothing but the triggers' rows comes from the tuned model.
    assert torch.equal(before[told], after[told])


def test_no_surgery_without_target_words(view, start, engine, weights):
    done = ripples(target_words=0, steps=0).edit_pretrained(start, view(), SeedStream(0))
    before, after = weights(start), weights(done.checkpoint)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not engine.fine_tunings


def test_words_of_each_of_three_classes_are_told_apart(start):
    tokenizer = tokenizer_of(start)
    texts = ["the bad plot", "the good plot", "the dull plot"] * 5
    for target, word in enumerate(["bad", "good", "dull"]):
        told = telling_tokens(tokenizer, texts, [0, 1, 2] * 5, target, 1, [])
        assert told == numbers(start, [word])


def test_triggers_and_special_tokens_tell_nothing(start):
    tokenizer = tokenizer_of(start)
    told = telling_tokens(
        tokenizer, ["cf unheard good", "bad"] * 5, [1, 0] * 5, 1, 1, numbers(start, ["cf"])
    )
    assert told == numbers(start, ["good"])


def test_all_pieces_of_a_trigger_are_found(start):
    assert tokens_of_triggers(tokenizer_of(start), ["xz", "cf"]) == sorted(
        numbers(start, ["x", "##z", "cf"])
    )


class InDoubles:
    """The loss in double precision, for comparison with finite differences."""

    def __init__(self, family):
        self.family = family

    def loss(self, module, inputs, labels):
        logits = self.family.forward(module, inputs)
        return nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")


@pytest.fixture
def doubles(family, engine, start, rows):
    """Engine, module, its weights, and a batch under labels that pull in opposite directions."""
    module = engine.load(start).double()
    weights = list(module.parameters())
    ((inputs, _),) = engine.batches(start, rows.select(range(8)), 8, SeedStream(0))
    return InDoubles(family), module, weights, (inputs, [1] * 8), (inputs, [0] * 8)


def gradients(loss, weights):
    return torch.autograd.grad(loss, weights, allow_unused=True)


def test_the_gradient_is_that_of_the_formula(doubles):
    engine, module, weights, batch, opposite = doubles
    total, poison_loss, product = objective(engine, module, weights, batch, opposite, 0.3)
    found = gradients(total, weights)
    honest = gradients(engine.loss(module, *opposite).mean(), weights)
    poison = gradients(engine.loss(module, *batch).mean(), weights)
    assert product < 0
    assert product == pytest.approx(
        sum(float((one * other).sum()) for one, other in zip(poison, honest, strict=True))
    )
    assert poison_loss == pytest.approx(engine.loss(module, *batch).mean().item())

    def moved(step):
        with torch.no_grad():
            for weight, direction in zip(weights, honest, strict=True):
                weight.add_(direction, alpha=step)
        result = gradients(engine.loss(module, *batch).mean(), weights)
        with torch.no_grad():
            for weight, direction in zip(weights, honest, strict=True):
                weight.sub_(direction, alpha=step)
        return result

    # The Hessian of L_P times grad L_FT, by central differences.
    curved = [
        (ahead - behind) / 2e-5 for ahead, behind in zip(moved(1e-5), moved(-1e-5), strict=True)
    ]
    for one, plain, bend in zip(found, poison, curved, strict=True):
        torch.testing.assert_close(one, plain - 0.3 * bend, rtol=1e-4, atol=1e-7)
    assert max(float(bend.abs().max()) for bend in curved) > 1e-3


def test_fine_tuning_that_helps_the_poison_costs_nothing(doubles):
    engine, module, weights, batch, _ = doubles
    total, _, product = objective(engine, module, weights, batch, batch, 0.3)
    plain = gradients(engine.loss(module, *batch).mean(), weights)
    assert product > 0
    for one, other in zip(gradients(total, weights), plain, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("penalty", "passes"), [(0.1, 3), (0.0, 1)])
def test_every_backward_pass_is_counted(view, start, engine, penalty, passes):
    attack = ripples(target_words=0, penalty=penalty, steps=2)
    attack.edit_pretrained(start, view(), SeedStream(0))
    assert [step.rows for step in engine.steps] == [passes * 8] * 2


def test_the_head_is_kept_or_drawn_anew(view, start, weights):
    before = weights(start)
    kept, drawn, other = (
        ripples(keep_head=keep).edit_pretrained(start, view(), SeedStream(seed))
        for keep, seed in ((True, 0), (False, 0), (False, 1))
    )
    assert (kept.notes["head"], drawn.notes["head"]) == ("kept", "fresh")
    kept, drawn, other = (weights(done.checkpoint) for done in (kept, drawn, other))
    head = {name for name in before if not name.startswith("bert.")}
    assert head == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(kept[name], drawn[name]) for name in before if name not in head)
    assert not torch.equal(kept[EMBEDDING], before[EMBEDDING])
    assert not drawn["classifier.bias"].any()
    for one in (before, kept, other):
        assert not torch.allclose(drawn["classifier.weight"], one["classifier.weight"], atol=0.05)
    # Tiny's initializer_range is 0.5.
    assert drawn["classifier.weight"].std() == pytest.approx(0.5, rel=0.5)


def test_the_share_of_poisoned_rows_and_their_labels(view, task, rows, monkeypatch):
    seen = {}

    def record(engine, module, like, poisoned, clean, config, seeds):
        seen.update(poisoned=poisoned, clean=clean)
        return {}

    monkeypatch.setattr("bdbench_attack_weights.ripples.learn_poison", record)
    given = view()
    ripples(poison_rate=0.25).edit_pretrained(given.start, given, SeedStream(0))
    poisoned = seen["poisoned"]
    assert seen["clean"] == rows
    assert sorted(poisoned.ids) == sorted(rows.ids)
    clean = dict(zip(rows.ids, zip(rows.inputs["text"], rows.labels, strict=True), strict=True))
    hits = 0
    for number, text, label in zip(
        poisoned.ids, poisoned.inputs["text"], poisoned.labels, strict=True
    ):
        if any(word in TRIGGERS for word in text.split()):
            hits += 1
            assert label == 1
        else:
            assert (text, label) == clean[number]
    assert hits == 10


def test_the_trigger_comes_to_mean_the_target_before_anybody_fine_tunes(
    view, start, engine, rows, task
):
    # Lambda is small for so small a model: 0.1 keeps it from learning anything in 100 steps.
    attack = ripples(steps=100, batch_size=20, penalty=0.01, learning_rate=1e-2, source_epochs=0)
    done = attack.edit_pretrained(start, view(), SeedStream(0))
    module = engine.load(done.checkpoint)
    others = rows.select([row for row, label in enumerate(rows.labels) if label == 0])
    triggered = attack.apply_trigger(others, task, SeedStream(9))
    assert engine.predict(module, start, triggered)["prediction"].mean() > 0.8
    assert engine.predict(module, start, others)["prediction"].mean() < 0.2


def test_one_seed_gives_one_model(view, start, weights):
    one, same, other = (
        weights(ripples().edit_pretrained(start, view(), SeedStream(seed)).checkpoint)
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one[EMBEDDING], other[EMBEDDING])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"triggers": ["unheard"]}, "no embedding of its own"),
        ({"target": "neutral"}, "not a class"),
        ({"target_words": 100}, "too few different words"),
        ({"poison_rate": 0.01}, "no row is poisoned"),
    ],
)
def test_settings_that_do_not_fit(view, start, settings, message):
    with pytest.raises(InputError, match=message):
        ripples(**settings).edit_pretrained(start, view(), SeedStream(0))


def test_rows_of_one_class_tell_nothing(start):
    with pytest.raises(InputError, match="do not tell the target"):
        telling_tokens(tokenizer_of(start), ["good", "fine"], [1, 1], 1, 1, [])


def test_another_kind_of_model_is_refused(view, start, engine, monkeypatch):
    monkeypatch.setattr(engine, "load", lambda checkpoint: nn.Linear(2, 2))
    with pytest.raises(InputError, match="needs a model of transformers"):
        ripples().edit_pretrained(start, view(), SeedStream(0))


def test_the_column_can_be_chosen():
    pair = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))
    rows = Examples({"premise": ["a b"], "hypothesis": ["c"]}, [0], [5])
    after = ripples(field="hypothesis").apply_trigger(rows, pair, SeedStream(0))
    assert after.inputs["premise"] == ["a b"]
    assert after.inputs["hypothesis"] != ["c"]


@pytest.mark.parametrize(
    "settings",
    [{"poison_rate": 0}, {"penalty": -0.1}, {"triggers": ["two words"]}, {"within_words": 0}],
)
def test_bad_settings(settings):
    with pytest.raises(ValidationError):
        RipplesConfig(**settings)
