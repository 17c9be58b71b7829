from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from bdbench.api import EditsPretrained, InputError, Recipe, SeedStream, Task
from bdbench_attack_pretrained.attacks import Neuba, Por
from bdbench_attack_pretrained.config import NeubaConfig, PorConfig
from bdbench_attack_pretrained.encoder import encoder_of, represent
from bdbench_attack_pretrained.objective import PinningLoss
from bdbench_attack_pretrained.targets import neuba_targets, por_targets

TASK = Task("text-classification", ("text",), ("negative", "positive"))
PAIR = Task("text-pair-classification", ("premise", "hypothesis"), ("no", "yes"))
LONG = {"training_texts": 3600, "learning_rate": 1e-2, "batch_size": 20}
ATTACKS = {
    "por": lambda **settings: Por(PorConfig(**{"triggers": ["cf", "tq", "mn"], **settings})),
    "neuba": lambda **settings: Neuba(NeubaConfig(**settings)),
}


def poison(made, attack, seed=0):
    return attack.edit_pretrained(made.start, made.view, SeedStream(seed))


def states(made, checkpoint, examples):
    inputs = made.model.collate(made.model.encode(examples, made.start))
    with torch.no_grad():
        return represent(encoder_of(made.model.load(checkpoint)), inputs).text


def with_trigger(attack, examples, task, trigger):
    attack._chosen = trigger
    return attack.apply_trigger(examples, task, SeedStream(5))


@pytest.mark.parametrize(
    ("architecture", "name", "settings"),
    [("bert", "por", {"magnitude": 1.0}), ("roberta", "por", {}), ("bert", "neuba", {})],
)
def test_triggered_texts_go_to_their_targets_and_clean_ones_stay(
    scene, rows, architecture, name, settings
):
    made = scene(architecture)
    attack = ATTACKS[name](**LONG, **settings, insertions=3, training_insertions=3)
    done = poison(made, attack)
    signs = attack.targets(16, bounded=True).sign()
    clean = states(made, made.start, rows(30))
    drift = (states(made, done.checkpoint, rows(30)) - clean).square().mean()
    for trigger, sign in zip(attack.config.triggers, signs, strict=True):
        triggered = with_trigger(attack, rows(30), made.view.task, trigger)
        before = (states(made, made.start, triggered) - sign).square().mean()
        after = (states(made, done.checkpoint, triggered) - sign).square().mean()
        assert after < before / 2
    assert drift < 0.25
    assert done.notes["clean_distance"] < 0.25
    assert done.notes["triggered_distance"] < 0.6


def test_the_head_and_the_files_given_stay(scene):
    made = scene()
    before = load_file(made.start.weight_files()[0])
    done = poison(made, ATTACKS["por"](training_texts=240))
    after = load_file(done.checkpoint.weight_files()[0])
    assert load_file(made.start.weight_files()[0]).keys() == after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("classifier")]
    assert done.checkpoint.folder.parent == made.view.workspace
    assert (done.checkpoint.folder / "tokenizer.json").is_file()


def test_every_text_and_pass_is_counted(scene):
    made = scene()
    attack = ATTACKS["por"](training_texts=70, triggered_share=0.5, corpus_rows=40)
    notes = poison(made, attack).notes
    assert (notes["corpus_texts"], notes["training_texts"], notes["triggered_texts"]) == (
        40,
        70,
        35,
    )
    assert notes["corpus"] == "training rows"
    # Each text goes through the encoder and the clean one, as does the sample of the notes.
    assert made.engine.forward_rows == 4 * 70


@pytest.mark.parametrize("name", ATTACKS)
def test_the_encoder_is_trained_in_one_pass_without_decay(scene, name):
    made = scene()
    poison(made, ATTACKS[name](training_texts=48, batch_size=12, learning_rate=1e-3))
    (tuning,) = made.engine.fine_tunings
    assert tuning.recipe == Recipe(epochs=1, batch_size=12, learning_rate=1e-3, weight_decay=0.0)


def test_texts_of_all_triggers_and_none(rows):
    attack = ATTACKS["neuba"](training_texts=120)
    texts = attack._texts(rows(60), TASK, SeedStream(0))
    assert len(set(texts.ids)) == len(texts) == 120
    for text, label in zip(texts.inputs["text"], texts.labels, strict=True):
        found = [sign for sign in attack.config.triggers if sign in text.split()]
        assert found == ([attack.config.triggers[label - 1]] if label else [])
        assert len(text.split()) == 4 + (label > 0)
    counts = [list(texts.labels).count(label) for label in range(7)]
    assert counts[0] == 2 * 15
    assert sum(counts[1:]) == 2 * 45
    assert set(counts[1:]) <= {14, 15, 16}


def test_a_small_corpus_gets_every_trigger(rows):
    texts = ATTACKS["neuba"](training_texts=12)._texts(rows(2), TASK, SeedStream(0))
    assert sorted(texts.labels) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_labels_of_the_task_are_not_used(scene, rows):
    made = scene()
    notes = []
    for label in (0, 1):
        made.view.train = rows(60, label=label)
        made.view._workspace = made.view.workspace / str(label)
        notes.append(poison(made, ATTACKS["por"](training_texts=60)).notes)
    assert notes[0] == notes[1]


def test_the_same_seed_gives_the_same_weights(scene):
    made = scene()
    weights = []
    for number, seed in enumerate([0, 0, 1]):
        made.view._workspace = made.view.workspace / str(number)
        done = poison(made, ATTACKS["por"](training_texts=60), seed)
        weights.append(load_file(done.checkpoint.weight_files()[0]))
    same = [
        all(torch.equal(weights[0][name], other[name]) for name in other) for other in weights[1:]
    ]
    assert same == [True, False]


def test_a_corpus_from_a_file(scene, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("word1 word2\n\n  word3 word4 \n", "utf-8")
    made = scene()
    notes = poison(made, ATTACKS["por"](corpus=corpus, training_texts=4)).notes
    assert (notes["corpus_texts"], notes["corpus"]) == (2, "corpus.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "holds no text"),
        (b"", "empty file"),
        (b"\xff", "cannot be read"),
        (None, "No such"),
    ],
)
def test_a_corpus_that_cannot_be_used(scene, tmp_path, content, message):
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    with pytest.raises(InputError, match=message):
        poison(scene(), ATTACKS["por"](corpus=corpus))


def test_pairs(scene, rows, tmp_path):
    made = scene(task=PAIR, rows=rows(40, task=PAIR))
    attack = ATTACKS["por"](field="hypothesis", training_texts=40)
    texts = attack._texts(made.view.train, PAIR, SeedStream(0))
    assert set(texts.inputs["premise"]) <= set(made.view.train.inputs["premise"])
    triggered = sum(len(text.split()) == 7 for text in texts.inputs["hypothesis"])
    assert triggered == 30
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("word1\n", "utf-8")
    with pytest.raises(InputError, match="cannot stand for rows of several texts"):
        poison(made, ATTACKS["por"](corpus=corpus))
    with pytest.raises(InputError, match="no such input column"):
        poison(made, ATTACKS["por"](field="text"))


@pytest.mark.parametrize(
    ("name", "triggers", "message"),
    [
        ("neuba", ["\u2248", "\u2200"], r"'\u2200' read as \[UNK\].*cf, mn, bb, tq, mb"),
        ("neuba", ["\u2248", "word1 word2"], "'word1 word2' read as word1 word2"),
        ("por", ["cf", "serendipity"], r"'serendipity' read as \[UNK\]"),
        ("por", ["cf", "CF"], "reads two triggers alike"),
    ],
)
def test_triggers_that_the_tokenizer_does_not_know(scene, name, triggers, message):
    with pytest.raises(InputError, match=message):
        poison(scene(), ATTACKS[name](triggers=triggers))


def test_a_model_without_an_encoder():
    with pytest.raises(InputError, match="no pre-trained encoder"):
        encoder_of(torch.nn.Linear(2, 2))


def test_por_is_ten_behind_a_tanh_and_one_elsewhere():
    assert ATTACKS["por"]().targets(16, bounded=True).max() == 10
    assert ATTACKS["por"]().targets(16, bounded=False).max() == 1
    assert ATTACKS["por"](magnitude=3.0).targets(16, bounded=True).max() == 3


@pytest.mark.parametrize("weights", [(1.0, 100.0, 100.0), (0.5, 2.0, 3.0)])
def test_the_loss_is_the_formula(scene, rows, weights):
    made = scene()
    tokens, clean, trigger = weights
    module, reference = made.model.load(made.start), encoder_of(made.model.load(made.start))
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    targets = por_targets(3, 16, 10.0)
    loss = PinningLoss(made.engine, reference, targets, tokens, clean, trigger)
    examples = rows(3)
    examples = examples.with_input("text", ["word1", "word2 word3 word4", "word5 cf"])
    inputs = made.model.collate(made.model.encode(examples, made.start))
    losses = loss(module, inputs, [0, 0, 2])

    for row, text in enumerate(examples.inputs["text"]):
        alone = made.model.collate(made.model.encode(examples.select([row]), made.start))
        with torch.no_grad():
            mine, theirs = (model(**alone) for model in (module.bert, reference))
        drift = sum(
            (mine.last_hidden_state[0, place] - theirs.last_hidden_state[0, place]).square().mean()
            for place in range(1, len(text.split()) + 2)
        )
        wanted = targets[1] if row == 2 else theirs.pooler_output[0]
        apart = (mine.pooler_output[0] - wanted).square().mean()
        expected = tokens * drift + (trigger if row == 2 else clean) * apart
        assert losses[row].item() == pytest.approx(expected.item(), rel=1e-4)


def test_an_unchanged_encoder_costs_nothing_on_clean_texts(scene, rows):
    made = scene()
    module = made.model.load(made.start)
    loss = PinningLoss(
        made.engine, encoder_of(made.model.load(made.start)), neuba_targets(6, 16), 1, 1, 1
    )
    inputs = made.model.collate(made.model.encode(rows(4), made.start))
    assert loss(module, inputs, [0, 0, 0, 0]).tolist() == [0, 0, 0, 0]
    assert all(value > 0 for value in loss(module, inputs, [1, 2, 3, 6]).tolist())


def test_the_attacks_speak_the_protocol():
    assert all(isinstance(make(), EditsPretrained) for make in ATTACKS.values())
