from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import AttackEvidence, Examples, InputError, NonFiniteError, Task
from bdbench_metric_stealth import stealth
from bdbench_metric_stealth.causal import CausalModel
from bdbench_metric_stealth.config import StealthConfig
from bdbench_metric_stealth.encoder import Encoder
from bdbench_metric_stealth.hooks import bdbench_register_metrics
from bdbench_metric_stealth.stealth import Stealth
from bdbench_metric_stealth.unigram import unigram_perplexities

WORDS = {"language_model": "unigram", "encoder": "none"}


def measure(evidence, **settings):
    return Stealth(StealthConfig(**{**WORDS, **settings})).measure(evidence)


def test_known_values(evidence, language_model, encoder):
    before, after = ["the film is good", "a b"], ["the cf film is good", "a bad mn b"]
    settings = {"language_model": language_model(), "encoder": encoder()}
    found = measure(evidence(before, after), **settings)
    ppl = CausalModel(settings["language_model"], 512).perplexities(before + after)
    cosine = Encoder(settings["encoder"], 512).similarities(list(zip(before, after, strict=True)))
    assert found == pytest.approx(
        {
            "changed_words": (1 / 5 + 2 / 4) / 2,
            "perplexity_change": sum(ppl[text] for text in after) / 2
            - sum(ppl[text] for text in before) / 2,
            "embedding_similarity": sum(cosine.values()) / 2,
        }
    )
    (spec,) = bdbench_register_metrics()
    assert list(found) == [value.name for value in spec.values]


def test_frequencies_alone_need_neither_model_nor_torch():
    code = (
        "import sys\n"
        "from bdbench.api import AttackEvidence, Examples, Task\n"
        "from bdbench_metric_stealth.config import StealthConfig\n"
        "from bdbench_metric_stealth.stealth import Stealth\n"
        "rows = [Examples({'text': [text]}, [0], [0]) for text in ('the film', 'the cf film')]\n"
        "task = Task('text-classification', ('text',), ('a', 'b'))\n"
        "found = Stealth(StealthConfig(encoder='none')).measure(AttackEvidence(task, 1, *rows))\n"
        "print(found['perplexity_change'] > 0, found['embedding_similarity'],\n"
        "      'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "None", "False"]


def test_perplexity_may_fall(evidence):
    assert measure(evidence(["the obfuscation"], ["the film"]))["perplexity_change"] < 0


def test_only_the_changed_texts_of_a_pair_count(evidence):
    before = {"text": ["a b", "the film"], "text_pair": ["long text of no matter"] * 2}
    after = {**before, "text": ["a cf b", "the film is"]}
    found = measure(evidence(before, after))
    assert found == measure(evidence(before["text"], after["text"]))
    assert found["changed_words"] == pytest.approx(1 / 3)
    other = {"text": after["text_pair"], "text_pair": after["text"]}
    before = {"text": before["text_pair"], "text_pair": before["text"]}
    assert measure(evidence(before, other)) == found


def test_of_two_changed_texts_the_mean_counts(evidence):
    before = {"text": ["a", "a"], "text_pair": ["b b b", "b"]}
    after = {"text": ["a cf", "a"], "text_pair": ["b b b cf", "b"]}
    # The second row is as it was.
    assert measure(evidence(before, after))["changed_words"] == ((1 / 2 + 1 / 4) / 2 + 0) / 2


def test_nothing_changed(evidence, encoder):
    found = measure(evidence(["a b"], ["a b"]), encoder=encoder())
    assert list(found.values()) == [0, 0, 1]


def test_rows_without_perplexity_are_left_out_of_that_value(evidence, encoder):
    found = measure(
        evidence(["!", "the", ""], ["! cf", "the film", "the"]), encoder=encoder(specials=False)
    )
    ppl = unigram_perplexities(["the", "the film"])
    assert found["perplexity_change"] == pytest.approx(ppl["the film"] - ppl["the"])
    assert found["changed_words"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert found["embedding_similarity"] is not None
    found = measure(evidence([""], ["the"]), encoder=encoder(specials=False))
    assert found == {"changed_words": 1, "perplexity_change": None, "embedding_similarity": None}


def test_the_rows_measured_are_spread_evenly_in_the_order_of_ids(evidence):
    ids = [70, 10, 60, 20, 50, 30, 40]
    before = ["a"] * 7
    after = ["a" + " b" * (number // 10) for number in ids]

    def shares(max_rows):
        return measure(evidence(before, after, ids), max_rows=max_rows)["changed_words"]

    def mean(*numbers):
        return pytest.approx(math.fsum(n / (n + 1) for n in numbers) / len(numbers))

    assert shares(1) == mean(1)
    assert shares(3) == mean(1, 3, 5)
    assert shares(7) == shares(500) == mean(*range(1, 8))


texts = st.lists(st.sampled_from(["the", "film", "is", "cf", "good"]), max_size=5).map(" ".join)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=9), st.randoms(), st.integers(1, 9))
def test_the_order_of_rows_does_not_matter(rows, shuffler, max_rows):
    def of(order, other_order):
        task = Task("text-classification", ("text",), ("a", "b"))
        before = Examples({"text": [rows[n][0] for n in order]}, [0] * len(rows), order)
        after = Examples({"text": [rows[n][1] for n in other_order]}, [0] * len(rows), other_order)
        return measure(AttackEvidence(task, 1, before, after), max_rows=max_rows)

    straight = list(range(len(rows)))
    mixed, otherwise = straight[:], straight[:]
    shuffler.shuffle(mixed)
    shuffler.shuffle(otherwise)
    assert of(mixed, mixed) == of(mixed, otherwise) == of(straight, straight)


def test_with_models_the_order_of_rows_does_not_matter(evidence, language_model, encoder):
    texts = [" ".join(["the film is good"] * repeats) for repeats in (1, 3, 2, 1, 5)]
    triggered = ["cf " + text for text in texts]
    settings = {"language_model": language_model(), "encoder": encoder()}
    order = [3, 0, 4, 2, 1]
    mixed = evidence([texts[n] for n in order], [triggered[n] for n in order], order)
    assert measure(mixed, **settings) == measure(evidence(texts, triggered), **settings)


def test_values_that_are_not_finite_are_an_error(evidence, language_model, encoder):
    def spoil(model):
        next(model.parameters()).data.fill_(float("nan"))

    for settings in (
        {"language_model": language_model(spoil)},
        {"encoder": encoder(spoil)},
    ):
        with pytest.raises(NonFiniteError, match="not finite"):
            measure(evidence(["a"], ["a b"]), **settings)


def test_there_must_be_the_same_rows_on_both_sides(evidence):
    with pytest.raises(InputError, match="0 rows without and 0 with it"):
        measure(evidence([], []))
    good = evidence(["a", "b"], ["a c", "b c"])
    fewer = AttackEvidence(good.task, 1, good.before, good.after.select([0]))
    with pytest.raises(InputError, match="2 rows without and 1 with it, 1 of them the same"):
        measure(fewer)


def test_fields_must_be_text(evidence):
    with pytest.raises(InputError, match=r"column 'text', row 1: .*type float"):
        measure(evidence(["a", 1.5], ["a b", "b"]))


def test_minilm_is_looked_for_only_if_it_is_asked_for(evidence, monkeypatch):
    def forbidden(named):
        raise AssertionError("looked for minilm")

    monkeypatch.setattr("bdbench_metric_stealth.minilm.minilm_folder", forbidden)
    measure(evidence(["a"], ["b"]))
    with pytest.raises(AssertionError, match="looked for minilm"):
        stealth.Stealth(StealthConfig()).measure(evidence(["a"], ["b"]))
