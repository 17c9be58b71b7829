from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BloomConfig,
    BloomForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from bdbench.api import InputError, NonFiniteError
from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.causal import CausalModel
from bdbench_defense_onion.packing import alone
from bdbench_defense_onion.perplexity import Perplexities
from bdbench_defense_onion.words import without


def bloom(vocabulary):
    """Positions by distance in the row: cannot be packed."""
    return BloomForCausalLM(BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4))


def llama(vocabulary):
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    )


def bert(vocabulary):
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    )


def scores(model, texts):
    return [verdict.scores for verdict in model.judge(texts)]


def left_out(text):
    spans = word_spans(text)
    return [without(text, spans, {word}) for word in range(len(spans))]


def assert_exact(model, perplexity, texts, tolerance=1e-5):
    """Suspicions are differences: a perplexity's error shows in full, relative to it."""
    for text, found in zip(texts, scores(model, texts), strict=True):
        whole = perplexity(text.strip())
        others = [perplexity(other) for other in left_out(text.strip())]
        assert len(found) == len(text.split())
        for score, other in zip(found, others, strict=True):
            if len(others) == 1 or whole is None or other is None:
                assert score is None
            else:
                assert score == pytest.approx(whole - other, abs=tolerance * max(whole, other))


@pytest.mark.parametrize("tokenizer", ["byte-level", "word-level", "special first"])
def test_equals_one_by_one(make, one_by_one, sentences, tokenizer):
    folder = make(tokenizer)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    assert model.facts["prefixes_shared"]
    assert_exact(model, one_by_one(folder), sentences)


@pytest.mark.parametrize(("architecture", "packs"), [(llama, True), (bloom, False)])
def test_other_architectures_equal_one_by_one(make, one_by_one, sentences, architecture, packs):
    folder = make(model=architecture)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    assert model.facts["prefixes_shared"] == packs
    assert_exact(model, one_by_one(folder), sentences)


@given(st.lists(st.text("ab é日\n\t ", max_size=40), min_size=1, max_size=4))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_texts_equal_one_by_one(language_model, folder, one_by_one, texts):
    assert_exact(language_model, one_by_one(folder), texts)


def test_perplexities_of_token_sequences(language_model, one_by_one, folder):
    asked = language_model._perplexities
    whole = tuple(range(5, 60))
    sequences = [whole, whole[:2], whole[:1], (), whole[3:], (9, *whole), whole]
    (found,) = asked.of([sequences])
    assert found[2] is found[3] is None
    assert found[0] == found[6]
    plain = Perplexities(asked._model, bf16=False, packs=False, where="")
    expected = [plain.of([[item]])[0][0] for item in sequences]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == (theirs if theirs is None else pytest.approx(theirs, rel=1e-5))


def test_other_texts_make_no_difference(language_model, sentences):
    together = scores(language_model, sentences)
    backwards = scores(language_model, sentences[::-1])[::-1]
    alone = [scores(language_model, [text])[0] for text in sentences]
    for one, other, single in zip(together, backwards, alone, strict=True):
        for found in zip(one, other, single, strict=True):
            if None in found:
                assert set(found) == {None}
            else:
                assert max(found) - min(found) < 1e-3


def test_prefixes_are_run_once(language_model, monkeypatch):
    """By the tokens that the model is given, padding included."""
    given_tokens = []
    model = language_model._perplexities._model
    forward = model.forward

    def counting(input_ids, **others):
        given_tokens.append(input_ids.numel())
        return forward(input_ids=input_ids, **others)

    monkeypatch.setattr(model, "forward", counting)
    text = " ".join(f"is number {number}" for number in range(15))
    scores(language_model, [text])
    one_by_one = sum(
        len(row)
        for ids in language_model._encode([text, *left_out(text)])
        for row in alone(0, [ids])
    )
    assert sum(given_tokens) < 0.65 * one_by_one
    given_tokens.clear()
    scores(language_model, [f"short number {number}" for number in range(9)])
    assert len(given_tokens) == 1, "short texts go together"


def rewrite(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def furthest_apart(folder, texts):
    """Between both precisions, relative to the largest score."""
    exact, rough = (
        [
            score
            for own in scores(CausalModel(folder, precision=precision, max_tokens=256), texts)
            for score in own
            if score is not None
        ]
        for precision in ("fp32", "bf16")
    )
    return max(abs(a - b) for a, b in zip(exact, rough, strict=True)) / max(map(abs, exact))


def test_bf16_is_close(folder, sentences):
    assert 0 < furthest_apart(folder, sentences) < 0.03


def test_bf16_is_close_where_logits_are_large(make, sentences):
    """As in trained models, only more so: around -1000, where bf16 has steps of 4."""

    def lower_all_logits(weights):
        weights["transformer.wte.weight"] += 1
        weights["transformer.ln_f.bias"] -= 1000 / weights["transformer.ln_f.bias"].numel()

    assert 0 < furthest_apart(rewrite(make(), lower_all_logits), sentences) < 0.03


def test_long_texts_are_judged_in_halves(folder, sentences):
    model = CausalModel(folder, precision="fp32", max_tokens=16)
    text = sentences[5]
    words = text.split()
    (found,) = scores(model, [text])
    halves = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    expected = [score for half in scores(model, halves) for score in half]
    assert len(found) == len(words)
    assert found == pytest.approx(expected)
    assert [verdict.parts for verdict in model.judge([text, *halves])] == [2, 1, 1]
    (whole,) = scores(CausalModel(folder, precision="fp32", max_tokens=256), [text])
    assert found != pytest.approx(whole)


def test_the_models_own_limit_holds(make, sentences):
    folder = make(n_positions=16)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    assert model.facts["max_tokens"] == 16
    found = scores(model, sentences)
    assert [len(own) for own in found] == [len(text.split()) for text in sentences]
    assert any(score is not None for score in found[7])


@pytest.mark.parametrize(("more", "parts"), [(26, 1), (27, 2), (30, 2)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_text_that_grows_without_a_word_is_halved_too(make, precision, more, parts):
    """Without its first word, the text has six tokens more: 33 of them are 32 inputs."""
    folder = make("after a space", n_positions=32)
    model = CausalModel(folder, precision=precision, max_tokens=256)
    text = f"a schwarz{' a' * more}"
    whole, shorter = model._encode([text, text[2:]])
    assert (len(whole), len(shorter)) == (more + 2, more + 7)
    words = text.split()
    expected = [text] if parts == 1 else [" ".join(words[: len(words) // 2])]
    expected += [] if parts == 1 else [" ".join(words[len(words) // 2 :])]
    (found,) = model.judge([text])
    assert found.parts == parts
    assert None not in found.scores
    single = [score for part in expected for score in model.judge([part])[0].scores]
    assert found.scores == pytest.approx(single, rel=0.02)


def test_growth_changes_nothing_for_the_texts_beside_it(make, one_by_one):
    folder = make("after a space", n_positions=32)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    others = ["a schwarz a", "a a schwarz schwarz a"]
    together = [verdict.scores for verdict in model.judge([*others, f"a schwarz{' a' * 29}"])]
    assert together[:2] == scores(model, others)
    assert_exact(model, one_by_one(folder), [f"a schwarz{' a' * 25}"])


def test_a_long_word_takes_no_neighbours_along(make):
    folder = make("after a space", n_positions=32)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    runs = ["a a schwarz a a a", "cf cf a", "a schwarz a"]
    long = "q" * 60
    text = f"{runs[0]} {long} {runs[1]} {long} {long} {runs[2]}"
    (found,) = model.judge([text])
    assert found.parts == 6
    expected = scores(model, runs)
    assert found.scores == pytest.approx(
        (*expected[0], None, *expected[1], None, None, *expected[2])
    )
    (found,) = model.judge([f"{long} {runs[0]} {long}"])
    assert found.scores == pytest.approx((None, *expected[0], None))
    # Runs that are too long are halved, as texts are.
    run = "a schwarz " * 25
    (halved, whole) = model.judge([f"{run}{long}", run])
    assert halved.scores[:-1] == pytest.approx(whole.scores)
    assert halved.scores[-1] is None


def test_a_word_longer_than_the_limit_is_not_judged(folder):
    model = CausalModel(folder, precision="fp32", max_tokens=8)
    (found,) = scores(model, [f"a good {'x7y' * 40} film for all times"])
    assert found[2] is None
    assert len(found) == 7
    before, after = scores(model, ["a good", "film for all times"])
    assert found == pytest.approx((*before, None, *after))
    assert [verdict.parts for verdict in model.judge(["x7y" * 40, f"a {'x7y' * 40}"])] == [1, 2]


def test_texts_without_two_words_have_no_scores(language_model):
    assert scores(language_model, ["", " \n", "good", " good "]) == [(), (), (None,), (None,)]
    assert scores(language_model, []) == []


def test_scores_are_not_random(folder, sentences, language_model):
    again = CausalModel(folder, precision="fp32", max_tokens=256)
    assert scores(again, sentences) == scores(language_model, sentences)


# --- what is not a language model -------------------------------------------------------------


def load(folder):
    return CausalModel(folder, precision="fp32", max_tokens=256)


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ("tokenizer.json", "no tokenizer"),
        ("model.safetensors", r"no model\.safetensors"),
        ("config.json", r"no config\.json"),
    ],
)
def test_an_incomplete_folder_is_refused(make, lost, found):
    folder = make()
    (folder / lost).unlink()
    with pytest.raises(InputError, match=found):
        load(folder)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "nothing")


def test_an_encoder_is_refused(make):
    with pytest.raises(InputError, match=r"not hold a causal.*tokens see those after them"):
        load(make(model=bert))


def test_a_larger_tokenizer_is_refused(make):
    with pytest.raises(InputError, match="of which GPT2LMHeadModel knows 300"):
        load(make(vocab_size=300))


def test_missing_weights_are_refused(make):
    folder = rewrite(make(), lambda weights: weights.pop("transformer.h.0.mlp.c_fc.weight"))
    with pytest.raises(InputError, match=r"without 1 of its tensors.*mlp\.c_fc\.weight"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(make, value):
    folder = rewrite(make(), lambda weights: weights["transformer.ln_f.weight"].fill_(value))
    with pytest.raises(InputError, match="predictions that are NaN or infinite"):
        load(folder)


def test_perplexities_that_are_not_finite_are_refused(folder):
    model = load(folder)
    with torch.no_grad():
        model._perplexities._model.transformer.wte.weight[5] = float("nan")
    with pytest.raises(NonFiniteError, match=r"\d+ of \d+ NaN or infinite"):
        scores(model, ["a good film"])
