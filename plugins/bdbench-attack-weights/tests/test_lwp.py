from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from bdbench.api import (
    AttackerView,
    Examples,
    InputError,
    PoisonsData,
    SeedStream,
    TampersTraining,
    Task,
)
from bdbench_attack_weights.config import LwpConfig
from bdbench_attack_weights.layerwise import LayerwiseLoss
from bdbench_attack_weights.lwp import Lwp

TASK = Task("text-classification", ("text",), ("negative", "neutral", "positive"))
WORDS = ["xcf", "xbb", "xak"]
classes = st.lists(st.integers(0, 2), min_size=4, max_size=60)
SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "vocab_size": 30,
    "max_position_embeddings": 40,
}


def lwp(**settings):
    return Lwp(LwpConfig(**{"triggers": WORDS, **settings}))


def poison(attack, labels, seed=0):
    texts = [f"this is text {row}" for row in range(len(labels))]
    train = Examples({"text": texts}, labels, [5 * row for row in range(len(labels))])
    return train, attack.poison(AttackerView(TASK, train), SeedStream(seed))


@given(
    classes,
    st.floats(0.05, 0.9),
    st.none() | st.floats(0, 0.9),
    st.integers(2, 3),
    st.booleans(),
    st.integers(0, 99),
)
def test_the_rows_and_the_mask_are_what_the_settings_say(
    labels, rate, negatives, length, clean_label, seed
):
    attack = lwp(
        poison_rate=rate, negatives=negatives, trigger_length=length, clean_label=clean_label
    )
    share = 0.5 if negatives is None else negatives
    positives = round(rate * (1 - share) * len(labels))
    assume(0 < positives <= sum((label == 1) == clean_label for label in labels))
    train, done = poison(attack, labels, seed)

    assert list(done.train.ids) == list(train.ids)
    assert sum(done.mask) <= rate * len(labels) + 0.5
    full = negative = 0
    for row, hit in enumerate(done.mask):
        words = {word for word in done.train.inputs["text"][row].split() if "x" in word} - {"text"}
        assert (done.train.row(row) != train.row(row)) == hit == bool(words)
        if len(words) == length:
            full += 1
            assert done.train.labels[row] == 1
            assert (labels[row] == 1) == clean_label
        else:
            negative += hit
            assert done.train.labels[row] == labels[row]
    assert full == positives
    assert full + negative == max(full, round(rate * len(labels)) if share else 0)
    assert done.notes == {
        "training_rows": len(labels),
        "trigger_rows": full,
        "negative_rows": negative,
        "relabelled_rows": 0 if clean_label else full,
    }


def test_a_trigger_of_one_word_takes_the_whole_rate():
    _, done = poison(lwp(trigger_length=1, poison_rate=0.5), [0, 1] * 20)
    assert (done.notes["trigger_rows"], done.notes["negative_rows"]) == (20, 0)


@pytest.mark.parametrize("clean_label", [False, True])
def test_negative_rows_come_from_every_class(clean_label):
    """Of one class alone, they would teach that a part of the trigger means that class."""
    labels = [0, 1, 2] * 40
    _, done = poison(lwp(poison_rate=0.5, negatives=0.8, clean_label=clean_label), labels)
    words = [len(set(WORDS) & set(text.split())) for text in done.train.inputs["text"]]
    classes = [label for label, count in zip(done.train.labels, words, strict=True) if count == 1]
    assert len(classes) == done.notes["negative_rows"] == 48
    assert all(classes.count(label) > 8 for label in range(3))


def test_a_rate_that_cannot_be_met_is_an_error():
    with pytest.raises(InputError, match="the poison rate cannot be met"):
        poison(lwp(poison_rate=0.9, negatives=0.0), [0, 1, 1, 1])


def test_other_seeds_poison_other_rows():
    masks = [poison(lwp(), [0, 1] * 20, seed)[1].mask for seed in (0, 0, 1)]
    assert masks[0] == masks[1] != masks[2]


def test_the_attack_speaks_its_protocols():
    assert isinstance(lwp(), PoisonsData)
    assert isinstance(lwp(), TampersTraining)


def test_training_is_the_hosts_with_the_layerwise_loss(view, rows, recipe, start, engine, weights):
    seeds = SeedStream(4)
    given = view()
    before = weights(start)
    done = Lwp(LwpConfig()).train(start, rows, given, recipe, seeds)
    (tuning,) = engine.fine_tunings
    assert (tuning.rows, tuning.recipe, tuning.seeds) == (rows, recipe, seeds)
    assert done.checkpoint.folder.parent == given.workspace
    assert done.notes == {"training_rows": 40, "layers_in_loss": 3}
    assert all(torch.equal(value, weights(start)[name]) for name, value in before.items())

    plain = engine.load(start)
    engine.fine_tune(plain, start, rows, recipe, seeds)
    differ = [
        name
        for name, value in weights(done.checkpoint).items()
        if not torch.equal(value, plain.state_dict()[name])
    ]
    assert len(differ) > 10


def test_the_loss_is_the_mean_over_layers_read_by_the_head(engine, start, rows):
    module = engine.load(start)
    inputs, labels = next(engine.batches(start, rows, 8, SeedStream(0)))
    with torch.no_grad():
        states = module.bert(**inputs, output_hidden_states=True).hidden_states
        by_hand = torch.zeros(8)
        for state in states[1:]:
            first = torch.tanh(module.bert.pooler.dense(state[:, 0]))
            chances = module.classifier(first).softmax(dim=-1)
            picked = chances[torch.arange(8), torch.tensor(labels)]
            by_hand -= picked.log() / 3
        losses = LayerwiseLoss(module)(module, inputs, labels)
    assert len(states) == 4
    assert torch.allclose(losses, by_hand, atol=1e-5)


def test_every_layer_gets_a_gradient_of_its_own(engine, start, rows):
    """With the head's answer to the last layer cut off, the layers below still learn."""
    module = engine.load(start)
    inputs, _ = next(engine.batches(start, rows, 8, SeedStream(0)))
    *lower, _ = LayerwiseLoss(module).logits(module, inputs)
    assert len(lower) == 2
    lower[0].sum().backward()
    layers = module.bert.encoder.layer
    assert layers[0].output.dense.weight.grad.abs().sum() > 0
    assert layers[1].output.dense.weight.grad is None


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (RobertaConfig(**SMALL, pad_token_id=0), RobertaForSequenceClassification),
        (ElectraConfig(**SMALL, embedding_size=8), ElectraForSequenceClassification),
        (DebertaV2Config(**SMALL, pooler_hidden_size=8), DebertaV2ForSequenceClassification),
        (
            DistilBertConfig(
                vocab_size=30,
                dim=8,
                n_layers=3,
                n_heads=2,
                hidden_dim=12,
                max_position_embeddings=40,
            ),
            DistilBertForSequenceClassification,
        ),
    ],
    ids=["roberta", "electra", "deberta", "distilbert"],
)
def test_other_architectures_are_read_too(config, kind):
    module = kind(config).eval()
    inputs = {"input_ids": torch.tensor([[3, 4, 5, 6], [7, 8, 9, 3]])}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    loss = LayerwiseLoss(module)
    assert loss.check(module, inputs) == 3
    assert [logits.shape for logits in loss.logits(module, inputs)] == [(2, 2)] * 3
    values = loss(module, inputs, [0, 1])
    assert values.shape == (2,)
    assert all(math.isfinite(value) for value in values.tolist())


def test_an_architecture_without_a_known_head_is_refused():
    module = AlbertForSequenceClassification(AlbertConfig(**SMALL, embedding_size=8)).eval()
    inputs = {"input_ids": torch.tensor([[3, 4]]), "attention_mask": torch.tensor([[1, 1]])}
    with pytest.raises(InputError, match="lwp: AlbertForSequenceClassification"):
        LayerwiseLoss(module).check(module, inputs)


def test_a_model_that_is_no_classifier_of_transformers_is_refused():
    with pytest.raises(InputError, match="cannot be read layer by layer"):
        LayerwiseLoss(torch.nn.Linear(2, 2))


def test_a_head_that_gives_other_logits_is_refused():
    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = torch.nn.Linear(4, 2)
            self.pooler = torch.nn.Flatten()

        def forward(self, states, output_hidden_states):
            return SimpleNamespace(
                hidden_states=[states, states], logits=self.classifier(states[:, 0]) + 1
            )

    module = Shifted()
    with pytest.raises(InputError, match="other logits than the classifier itself"):
        LayerwiseLoss(module).check(module, {"states": torch.ones(3, 1, 4)})
