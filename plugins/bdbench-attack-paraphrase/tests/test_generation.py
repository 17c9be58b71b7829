from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from bdbench.api import AttackerView, Examples, InputError, NonFiniteError, SeedStream, Task
from bdbench_attack_paraphrase.attack import Paraphrase
from bdbench_attack_paraphrase.config import ParaphraseConfig
from bdbench_attack_paraphrase.generation import ModelParaphrases, NucleusSampler

TASK = Task("text-classification", ("text",), ("negative", "positive"))
WORDS = [f"w{number}" for number in range(60)]
TEXTS = [" ".join(WORDS[start : start + 2 + start % 5]) for start in range(40)]
ROWS = Examples({"text": TEXTS}, [0, 1] * 20, list(range(40)))


def save_tokenizer(folder):
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = {word: number for number, word in enumerate([*special.values(), *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return len(vocabulary)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A T5 that was never trained: it writes any words, and others for other texts."""
    path = tmp_path_factory.mktemp("t5")
    config = T5Config(
        vocab_size=save_tokenizer(path),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    T5ForConditionalGeneration(config).save_pretrained(path)
    return path


def open_model(folder, **settings):
    defaults = {"prefix": "", "top_p": 0.9, "max_tokens": 12, "seed": 0}
    return ModelParaphrases(folder, **defaults | settings)


def written(model, rows=range(40)):
    return list(model.texts(ROWS, TASK, "text", rows))


def test_a_text_has_one_paraphrase_whatever_is_asked_beside_it(folder):
    together = written(open_model(folder))
    apart = written(open_model(folder), [30, 3, 11])
    assert apart == [together[row] for row in (30, 3, 11)]
    assert written(open_model(folder)) == together
    assert len(set(together)) > 30


def test_seed_prefix_and_top_p_matter(folder):
    first = written(open_model(folder))
    for settings in ({"seed": 1}, {"prefix": "w1 w2 w3 "}, {"top_p": 0.01}):
        assert written(open_model(folder, **settings)) != first


def test_the_smallest_top_p_is_greedy_search(folder):
    model = T5ForConditionalGeneration.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    expected = []
    for text in TEXTS[:6]:
        given = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**given, max_new_tokens=12, do_sample=False)
        expected.append(tokenizer.decode(ids[0], skip_special_tokens=True))
    assert written(open_model(folder, top_p=1e-9), range(6)) == expected


def test_paraphrases_end_at_the_limit(folder):
    lengths = [len(text.split()) for text in written(open_model(folder, top_p=1.0, max_tokens=4))]
    assert max(lengths) == 4


def test_nothing_is_written_before_it_is_asked_for(folder, monkeypatch):
    model = open_model(folder)
    asked = []
    monkeypatch.setattr(model, "_generate", lambda texts: asked.append(len(texts)) or [*texts])
    texts = [f"w{number % 60} w{number // 60}" for number in range(300)]
    rows = Examples({"text": texts}, [0] * 300, list(range(300)))
    stream = model.texts(rows, TASK, "text", range(300))
    assert not asked
    assert next(stream) == texts[0]
    assert sum(asked) == 128
    assert list(stream) == texts[1:]
    assert sum(asked) == 300
    assert list(model.texts(rows, TASK, "text", [5, 5])) == [texts[5]] * 2
    assert sum(asked) == 300


def attack(folder, **settings):
    return Paraphrase(ParaphraseConfig(model=folder, max_tokens=12, **settings))


def test_a_model_takes_the_place_of_the_files(folder):
    one = attack(folder, poison_rate=0.25)
    done = one.poison(AttackerView(TASK, ROWS), SeedStream(0))
    hit = [row for row, yes in enumerate(done.mask) if yes]
    assert len(hit) == 10
    assert all(ROWS.labels[row] == 0 and done.train.labels[row] == 1 for row in hit)
    paraphrases = written(open_model(folder, top_p=0.6))
    assert [done.train.inputs["text"][row] for row in hit] == [paraphrases[row] for row in hit]
    assert done.notes["paraphrases"] == "model"

    rows = [row for row, yes in enumerate(one.eligible(ROWS, TASK)) if yes]
    assert rows
    assert {ROWS.labels[row] for row in rows} == {0}
    after = one.apply_trigger(ROWS.select(rows), TASK, SeedStream(9))
    assert after.inputs["text"] == [paraphrases[row] for row in rows]


def test_texts_that_the_model_leaves_as_they_are_take_no_part(folder, monkeypatch):
    monkeypatch.setattr(ModelParaphrases, "_generate", lambda self, texts: [*texts])
    with pytest.raises(InputError, match=r"40 rows, which is 10\. Expected between 1 and 0 rows"):
        attack(folder, poison_rate=0.25).poison(AttackerView(TASK, ROWS), SeedStream(0))
    with pytest.raises(InputError, match="model: no test row can be given the trigger"):
        attack(folder).eligible(ROWS, TASK)


def test_a_rate_out_of_reach_is_refused_before_anything_is_written(folder, monkeypatch):
    monkeypatch.setattr(ModelParaphrases, "_generate", lambda self, texts: pytest.fail("asked"))
    with pytest.raises(InputError, match=r"between 1 and 20 rows.*at most 0\.5"):
        attack(folder, poison_rate=0.6).poison(AttackerView(TASK, ROWS), SeedStream(0))


def test_drawn_tokens_follow_the_probabilities_within_the_nucleus():
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log().repeat(4000, 1)
    sampler = NucleusSampler(0.75, [Random(seed) for seed in range(4000)])
    chosen = sampler(torch.zeros(4000, 1, dtype=torch.long), logits)
    assert (chosen.isfinite().sum(-1) == 1).all()
    counts = Counter(chosen.argmax(-1).tolist())
    # 0.5 + 0.3 is the smallest set with at least 0.75.
    assert set(counts) == {1, 3}
    assert counts[1] / 4000 == pytest.approx(0.5 / 0.8, abs=0.03)


def test_with_top_p_one_every_token_can_be_drawn():
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().repeat(4000, 1)
    sampler = NucleusSampler(1.0, [Random(seed) for seed in range(4000)])
    counts = Counter(sampler(None, logits).argmax(-1).tolist())
    assert [counts[token] / 4000 for token in range(4)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4], abs=0.03
    )


def test_a_token_without_probability_is_never_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).repeat(200, 1)
    sampler = NucleusSampler(1.0, [Random(seed) for seed in range(200)])
    assert set(sampler(None, logits).argmax(-1).tolist()) == {1}


def test_weights_that_are_not_finite_are_an_error(folder, tmp_path):
    save_tokenizer(tmp_path)
    model = T5ForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        model.shared.weight.fill_(torch.nan)
    model.save_pretrained(tmp_path)
    with pytest.raises(NonFiniteError, match="outputs are not finite"):
        written(open_model(tmp_path))


def test_what_is_no_seq2seq_model_is_refused(tmp_path):
    config = BertConfig(
        vocab_size=save_tokenizer(tmp_path),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"does not turn texts into texts.*bert"):
        open_model(tmp_path)


def test_a_folder_without_safetensors_is_refused(folder, tmp_path):
    save_tokenizer(tmp_path)
    model = T5ForConditionalGeneration.from_pretrained(folder)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model.safetensors"):
        open_model(tmp_path)


def test_missing_weights_are_refused(folder, tmp_path):
    save_tokenizer(tmp_path)
    T5ForConditionalGeneration.from_pretrained(folder).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.final_layer_norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 missing tensors.*encoder.final_layer_norm.weight"):
        open_model(tmp_path)
