from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertLMHeadModel

from bdbench.api import InputError, NonFiniteError
from bdbench_metric_stealth import causal
from bdbench_metric_stealth.causal import CausalModel

TEXTS = [
    "a",
    "a b",
    "the film is good",
    "the cf film is mn good",
    "unheard words count , too",
    " ".join(["long text"] * 12),
]


def reference(folder, tokens):
    """One text, without padding, by transformers' own loss, which leaves the first token out."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.tensor([tokens])
    with torch.no_grad():
        return math.exp(model(input_ids=ids, labels=ids).loss.item())


def numbers(text):
    known = {"a": 4, "b": 5, "c": 6, "the": 7, "film": 8, "is": 9, "good": 10, "bad": 11}
    known |= {"cf": 12, "mn": 13, "long": 14, "text": 15}
    return [known.get(word, 3) for word in text.split()]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(causal, "_BATCH", {"cpu": 16, "cuda": 16})


@pytest.mark.parametrize("specials", [False, True])
def test_the_beginning_is_context_whether_or_not_the_tokenizer_adds_it(language_model, specials):
    folder = language_model(specials=specials)
    found = CausalModel(folder, 512).perplexities(TEXTS)
    for text in TEXTS:
        assert found[text] == pytest.approx(reference(folder, [1, *numbers(text)]), rel=1e-5)


def test_without_a_token_for_the_beginning_the_first_is_context(language_model):
    folder = language_model(begin=None)
    found = CausalModel(folder, 512).perplexities(TEXTS)
    assert "a" not in found
    for text in TEXTS[1:]:
        assert found[text] == pytest.approx(reference(folder, numbers(text)), rel=1e-5)


def test_padding_is_never_counted(language_model, monkeypatch):
    folder = language_model(pad="<pad>")
    alone = {text: CausalModel(folder, 512).perplexities([text])[text] for text in TEXTS}
    monkeypatch.setattr(causal, "_BATCH", {"cpu": 10_000, "cuda": 10_000})
    together = CausalModel(folder, 512).perplexities(TEXTS)
    assert together == pytest.approx(alone, rel=1e-5)


def test_texts_are_cut_at_the_limit(language_model):
    long = " ".join(["long text"] * 60)
    folder = language_model()
    found = CausalModel(folder, 8).perplexities([long])[long]
    assert found == pytest.approx(reference(folder, [1, *numbers(long)][:8]), rel=1e-5)
    # The model has 64 positions.
    found = CausalModel(folder, 512).perplexities([long])[long]
    assert found == pytest.approx(reference(folder, [1, *numbers(long)][:64]), rel=1e-5)


def test_empty_texts_have_no_perplexity(language_model):
    assert CausalModel(language_model(), 512).perplexities(["", " "]) == {}
    assert CausalModel(language_model(begin=None), 512).perplexities([""]) == {}


def test_weights_that_are_not_finite_are_an_error(language_model):
    def spoil(model):
        model.transformer.h[1].mlp.c_fc.weight.data[0, 0] = float("nan")

    with pytest.raises(NonFiniteError, match="perplexities are not finite"):
        CausalModel(language_model(spoil), 512).perplexities(["a b"])


def test_an_encoder_is_refused(encoder, tmp_path):
    config = BertConfig.from_pretrained(encoder())
    BertLMHeadModel(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((encoder() / name).read_bytes())
    with pytest.raises(InputError, match="whose tokens see those after them"):
        CausalModel(tmp_path, 512)


def test_folders_that_hold_something_else_are_refused(encoder, tmp_path):
    with pytest.raises(InputError, match="no weights for cls"):
        CausalModel(encoder(), 512)
    with pytest.raises(InputError, match="no such folder"):
        CausalModel(tmp_path / "gpt2", 512)
