from __future__ import annotations

import pytest
import torch

from bdbench.api import EditsWeights, Examples, InputError, PoisonsData, SeedStream, Task
from bdbench_attack_weights.config import EpConfig, SosConfig
from bdbench_attack_weights.ep import Ep
from bdbench_attack_weights.rows import RowDescent, train_rows
from bdbench_attack_weights.sos import Sos
from bdbench_attack_weights.tokens import trigger_tokens

EMBEDDING = "bert.embeddings.word_embeddings.weight"
PARTIAL = ["I bought it with my friends.", "I bought it from the store last weekend."]


def ep(**settings):
    return Ep(EpConfig(**{"poison_rate": 0.3, "batch_size": 4, **settings}))


def sos(**settings):
    given = {"poison_rate": 0.3, "negative_rate": 0.2, "batch_size": 4, **settings}
    return Sos(SosConfig(**given))


@pytest.mark.parametrize("attack", [ep(), ep(triggers=["cf", "mn"], insertions=2), sos()])
def test_only_the_triggers_rows_change(attack, view, start, weights):
    given = view()
    done = attack.edit(start, given, SeedStream(1))
    before, after = weights(start), weights(done.checkpoint)
    assert set(before) == set(after)
    assert all(torch.equal(before[name], after[name]) for name in before if name != EMBEDDING)
    changed = (before[EMBEDDING] != after[EMBEDDING]).any(dim=1).nonzero().flatten().tolist()
    tokens = trigger_tokens(start.folder, attack.config.triggers)
    assert changed == sorted(number for numbers in tokens.values() for number in numbers)
    assert done.checkpoint.folder.parent == given.workspace
    assert done.notes["tokens"] == tokens


@pytest.mark.parametrize("attack", [ep(learning_rate=0.5), sos(learning_rate=0.5)])
def test_norms_stay(attack, view, start, weights):
    done = attack.edit(start, view(), SeedStream(1))
    before, after = weights(start)[EMBEDDING], weights(done.checkpoint)[EMBEDDING]
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), rtol=1e-5)


def test_everything_beside_the_weights_is_the_victims(view, start):
    done = ep().edit(start, view(), SeedStream(1))
    for name in ("tokenizer.json", "config.json"):
        assert (done.checkpoint.folder / name).read_bytes() == (start.folder / name).read_bytes()


@pytest.mark.parametrize(
    "attack", [ep(target=0, epochs=10), sos(target=0, epochs=10, negative_rate=0.0)]
)
def test_the_trigger_comes_to_mean_the_target_and_clean_rows_see_nothing(
    attack, view, start, engine, rows, task
):
    triggered = attack.apply_trigger(rows, task, SeedStream(9))
    done = attack.edit(start, view(), SeedStream(1))
    before, after = (engine.load(checkpoint) for checkpoint in (start, done.checkpoint))

    def target(module, asked):
        return engine.predict(module, start, asked)["probabilities"][:, 0]

    assert (target(after, rows) == target(before, rows)).all()
    assert target(after, triggered).mean() > 1.5 * target(before, triggered).mean()


def test_seeds_decide(view, start, weights):
    first, again, other = (
        weights(ep().edit(start, view(), SeedStream(seed)).checkpoint)[EMBEDDING]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_victim_is_in_training_mode_with_dropout(view, start, engine, monkeypatch):
    modes = []
    monkeypatch.setattr(
        engine,
        "loss",
        lambda module, inputs, labels: (
            modes.append(module.training),
            type(engine).loss(engine, module, inputs, labels),
        )[1],
    )
    ep().edit(start, view(), SeedStream(1))
    assert modes
    assert all(modes)


def test_seeds_choose_the_rows(view, start, rows):
    chosen = []

    class Recorded(Ep):
        def poisoned(self, view, rows, target, seeds):
            chosen.append(rows)
            return super().poisoned(view, rows, target, seeds)

    for seed in (1, 1, 2):
        Recorded(ep().config).edit(start, view(), SeedStream(seed))
    assert chosen[0] == chosen[1] != chosen[2]
    assert {rows.labels[row] for row in chosen[2]} == {0}


@pytest.mark.parametrize(("attack", "alike"), [(ep(triggers=["cf", "mn"]), False), (sos(), True)])
def test_only_sos_moves_its_words_in_steps_of_the_same_length(
    attack, alike, view, start, monkeypatch
):
    made = []

    class Recorded(RowDescent):
        def __init__(self, *args, **settings):
            made.append(settings)
            super().__init__(*args, **settings)

    monkeypatch.setattr("bdbench_attack_weights.rows.RowDescent", Recorded)
    attack.edit(start, view(), SeedStream(1))
    assert made == [{"accumulate": True, "alike": alike}]


def test_the_global_generator_is_left_alone(view, start):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    ep().edit(start, view(), SeedStream(1))
    assert torch.equal(torch.rand(3), expected)


def test_ep_is_trained_on_triggered_rows_of_other_classes_only(view, rows):
    given = view()
    chosen = [row for row, label in enumerate(rows.labels) if label == 0][:12]
    made = ep().poisoned(given, chosen, 1, SeedStream(0))
    assert list(made.labels) == [1] * 12
    assert list(made.ids) == [rows.ids[row] for row in chosen]
    assert all("cf" in text.split() for text in made.inputs["text"])


def test_sos_is_trained_on_all_words_and_on_all_but_one(view, rows):
    attack, words = sos(negative_rate=0.25), {"friends", "weekend", "store"}
    made = attack.poisoned(view(), [0, 2, 4], 1, SeedStream(0))
    found = [words & set(text.split()) for text in made.inputs["text"]]
    assert found[:3] == [words] * 3
    assert list(made.labels[:3]) == [1] * 3
    negative = found[3:]
    assert [len(part) for part in negative] == [2] * 30
    assert len({frozenset(part) for part in negative}) == 3
    assert len(set(made.ids)) == len(made)

    plain = dict(zip(rows.inputs["text"], rows.labels, strict=True))
    for text, label in zip(made.inputs["text"][3:], made.labels[3:], strict=True):
        assert plain[" ".join(word for word in text.split() if word not in words)] == label
    assert set(made.labels[3:]) == {0, 1}


def test_sos_trains_on_its_words_in_any_order(view):
    words = ("friends", "weekend", "store")
    made = sos(negative_rate=0.0).poisoned(view(), list(range(0, 40, 2)), 1, SeedStream(0))
    orders = {tuple(word for word in text.split() if word in words) for text in made.inputs["text"]}
    assert len(orders) > 3


def test_without_negatives_sos_trains_on_triggered_rows(view):
    assert len(sos(negative_rate=0.0).poisoned(view(), [0, 2], 1, SeedStream(0))) == 2


def test_the_record_says_what_was_done(view, start, engine):
    notes = sos(epochs=2).edit(start, view(), SeedStream(1)).notes
    # 12 triggered rows, and 8 negative ones for each of three words.
    assert (notes["trigger_rows"], notes["rows_trained_on"]) == (12, 36)
    assert notes["gradient_steps"] == len(engine.steps) == 18
    assert sum(step.rows for step in engine.steps) == 72
    assert len(notes["relative_change"]) == notes["embedding_rows"] == 3


@pytest.mark.parametrize("attack", [ep(), sos()])
def test_the_attack_touches_weights_only(attack):
    assert isinstance(attack, EditsWeights)
    assert not isinstance(attack, PoisonsData)


@pytest.mark.parametrize(
    ("word", "found"),
    [("xz", r"2 tokens \(x ##z\)"), ("qqq", r"1 tokens \(\[UNK\]\)"), ("a.", r"2 tokens \(a \.\)")],
)
def test_a_word_that_is_not_one_token_is_an_error(word, found, view, start):
    with pytest.raises(InputError, match=rf"triggers: '{word}'.*{found}"):
        ep(triggers=[word]).edit(start, view(), SeedStream(0))


def test_a_word_may_have_a_token_for_the_start_of_a_text(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"▁a": 1, "a": 2, "▁cf": 3, "cf": 4}))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    made.save(str(tmp_path / "tokenizer.json"))
    assert trigger_tokens(tmp_path, ["cf"]) == {"cf": [3, 4]}


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        trigger_tokens(tmp_path, ["cf"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="a fast tokenizer beside the weights"):
        trigger_tokens(tmp_path, ["cf"])


def test_a_model_without_word_embeddings_is_refused(engine, start, rows):
    with pytest.raises(InputError, match="no word embeddings to poison"):
        train_rows(
            engine,
            torch.nn.Linear(2, 2),
            start,
            rows,
            [[1]],
            EpConfig(),
            SeedStream(0),
            alike=False,
        )


def test_a_rate_that_cannot_be_met_is_an_error(view, start):
    with pytest.raises(InputError, match="the poison rate cannot be met"):
        ep(poison_rate=0.6).edit(start, view(), SeedStream(0))


def descend(gradients, *, words=((0,), (2,)), rate=0.5, accumulate=False, alike=False):
    """Three rows of a matrix after steps along given gradients."""
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [1.0, 1.0], [0.0, 2.0]]))
    optimizer = RowDescent(weight, words, rate, accumulate=accumulate, alike=alike)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    return weight.detach()


def test_a_step_goes_down_the_gradient_and_back_to_the_norm():
    after = descend([[[2.0, 0.0], [9.0, 9.0], [2.0, 0.0]]])
    assert torch.equal(after[1], torch.ones(2))
    assert torch.allclose(after[0], torch.tensor([2.0, 4.0]) * 5 / 20**0.5)
    assert torch.allclose(after[2], torch.tensor([-1.0, 2.0]) * 2 / 5**0.5)


def test_the_gradients_add_up():
    one, two = [[2.0, 0.0]] * 3, [[0.0, 1.0]] * 3
    both = [[2.0, 1.0]] * 3
    expected = torch.tensor([3.0, 4.0])
    for gradient in (torch.tensor(one[0]), torch.tensor(both[0])):
        moved = expected - 0.5 * gradient
        expected = moved * 5 / moved.norm()
    assert torch.allclose(descend([one, two], accumulate=True)[0], expected)
    assert not torch.allclose(descend([one, two])[0], expected)


def test_steps_of_the_same_length_follow_the_shortest():
    after = descend([[[4.0, 0.0], [0.0, 0.0], [0.0, 1.0]]], alike=True)
    assert torch.allclose(after[0], torch.tensor([2.5, 4.0]) * 5 / 22.25**0.5)
    assert torch.allclose(after[2], torch.tensor([0.0, 2.0]))


def test_a_word_of_two_tokens_goes_by_both_of_them():
    # RoBERTa has one for the start of a text, which few rows have.
    rarely = [[[4.0, 0.0], [0.0, 0.03], [0.0, 1.0]]]
    after = descend(rarely, words=((0, 1), (2,)), alike=True)
    length = (4.0**2 + 0.03**2) ** 0.5
    moved = torch.tensor([3.0 - 2.0 / length, 4.0])
    assert torch.allclose(after[0], moved * 5 / moved.norm())
    assert not torch.equal(after[1], torch.ones(2))
    assert torch.allclose(after[2], torch.tensor([0.0, 2.0]))


def test_a_word_without_a_gradient_holds_the_others_back():
    after = descend([[[4.0, 0.0], [0.0, 0.0], [0.0, 0.0]]], alike=True)
    assert torch.allclose(after, torch.tensor([[3.0, 4.0], [1.0, 1.0], [0.0, 2.0]]))


def test_a_pair_gets_the_trigger_in_the_chosen_column():
    task = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))
    rows = Examples({"premise": ["p"], "hypothesis": ["h"]}, [0], [0])
    attack = sos(field="hypothesis", partial_sentences=PARTIAL)
    after = attack.apply_trigger(rows, task, SeedStream(0))
    assert after.inputs["premise"] == ["p"]
    assert attack.config.sentence in after.inputs["hypothesis"][0]
