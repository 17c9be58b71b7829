from __future__ import annotations

import pytest

from bdbench.api import Defense, FiltersData, InputError, NotGrantedError, ScreensInputs
from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.config import OnionConfig, OnionFilterConfig
from bdbench_defense_onion.hooks import ONION, ONION_FILTER
from bdbench_defense_onion.onion import Onion, OnionFilter
from bdbench_defense_onion.scoring import Scorer, Verdict, scorer_for
from bdbench_defense_onion.words import without

CLEAN = [f"this is the {word} part of the film" for word in ("first", "best", "long", "old")] * 9


@pytest.fixture
def screen(view, rows):
    def screen(texts, clean=CLEAN, **settings):
        config = OnionConfig(**settings)
        return Onion(config).screen(rows(texts), view(config, clean))

    return screen


@pytest.fixture
def filtered(view, rows):
    def filtered(texts, clean=CLEAN, **settings):
        config = OnionFilterConfig(**settings)
        return OnionFilter(config).filter(rows(texts), view(config, clean, spec=ONION_FILTER))

    return filtered


def test_implement_their_stages():
    assert issubclass(Onion, Defense)
    assert issubclass(Onion, ScreensInputs)
    assert issubclass(OnionFilter, Defense)
    assert issubclass(OnionFilter, FiltersData)


def test_takes_out_the_words_above_the_threshold(screen):
    text = "the film is very zxqvj good  "
    scores = scorer_for(OnionConfig()).judge([text])[0].scores
    worst, second = sorted(scores, reverse=True)[:2]
    result = screen([text], threshold=(worst + second) / 2)
    assert result.examples.inputs["text"] == ["the film is very good  "]
    assert result.scores == [worst]
    assert result.rejected == [False]
    at_the_score = screen([text], threshold=worst)
    assert at_the_score.examples.inputs["text"] == [text]


@pytest.mark.parametrize("model", [None, "gpt2"])
def test_rewrites_by_the_scores_and_nothing_else(screen, sentences, folder, model):
    settings = {"language_model": folder} if model else {}
    found = [one.scores for one in scorer_for(OnionConfig(**settings)).judge(sentences)]
    threshold = 30.0
    result = screen(sentences, threshold=threshold, **settings)
    for text, written, scores, score in zip(
        sentences, result.examples.inputs["text"], found, result.scores, strict=True
    ):
        over = {n for n, value in enumerate(scores) if value is not None and value > threshold}
        if len(over) == len(scores):
            over.discard(min(over, key=scores.__getitem__, default=None))
        assert written == without(text, word_spans(text), over)
        assert score == max((value for value in scores if value is not None), default=0.0)
    assert result.examples.inputs["text"] != sentences


def test_rows_keep_ids_labels_and_order(screen, rows):
    texts = ["one zxqvj", "", "three"]
    result = screen(texts, threshold=0.0)
    assert list(result.examples.ids) == list(rows(texts).ids)
    assert list(result.examples.labels) == [None, None, None]
    assert len(result.rejected) == len(result.scores) == 3


@pytest.mark.parametrize("model", [None, "gpt2"])
def test_texts_of_no_or_one_word_pass(screen, folder, model):
    texts = ["", "  ", "zxqvj", " zxqvj\n"]
    settings = {"language_model": folder} if model else {}
    result = screen(texts, threshold=-1e9, **settings)
    assert result.examples.inputs["text"] == texts
    assert result.scores == [0.0] * 4
    assert result.notes["words_without_score"] == 2


@pytest.mark.parametrize("model", [None, "gpt2"])
def test_no_text_is_emptied(screen, sentences, folder, model):
    settings = {"language_model": folder} if model else {}
    texts = ["cf zxqvj", *sentences]
    result = screen(texts, threshold=-1e9, **settings)
    for before, after in zip(texts, result.examples.inputs["text"], strict=True):
        assert bool(after.split()) == bool(before.split())
    # The least suspicious word is the one that stays.
    scores = scorer_for(OnionConfig(**settings)).judge(["very good film"])[0].scores
    if None not in scores:
        left = screen(["very good film"], threshold=-1e9, **settings).examples.inputs["text"]
        assert left == [["very", "good", "film"][scores.index(min(scores))]]


@pytest.mark.parametrize("model", [None, "gpt2"])
@pytest.mark.parametrize("threshold", ["auto", 3.0])
def test_rows_are_judged_one_by_one(screen, sentences, folder, model, threshold):
    settings = {"language_model": folder} if model else {}
    texts = [*sentences, *CLEAN]
    together = screen(texts, threshold=threshold, **settings)
    singly = [screen([text], threshold=threshold, **settings) for text in texts]
    assert together.examples.inputs["text"] == [one.examples.inputs["text"][0] for one in singly]
    assert together.scores == [one.scores[0] for one in singly]


def test_rewrites_do_not_depend_on_what_is_remembered(view, rows, sentences, folder, monkeypatch):
    """Row by row with a scorer that forgets, so that each row is really computed alone."""
    import bdbench_defense_onion.onion as module
    from bdbench_defense_onion.causal import CausalModel

    config = OnionConfig(language_model=folder, quantile=0.9)
    model = CausalModel(folder, precision="fp32", max_tokens=256)
    monkeypatch.setattr(module, "scorer_for", lambda _: Scorer(model))
    clean = [*CLEAN, *sentences]
    texts = [*sentences, *CLEAN[:4]]
    together = Onion(config).screen(rows(texts), view(config, clean)).examples
    singly = [Onion(config).screen(rows([text]), view(config, clean)).examples for text in texts]
    assert together.inputs["text"] == [one.inputs["text"][0] for one in singly]
    assert together.inputs["text"] != texts


# --- the threshold ------------------------------------------------------------------------------


def test_auto_looks_at_the_clean_rows_alone(screen):
    quiet, loud = screen(["a film"] * 5), screen(["zxqvj cf tq mb bb"] * 50)
    assert quiet.notes["threshold"] == loud.notes["threshold"]
    other = screen(["a film"] * 5, clean=[f"{text} zxqvj" for text in CLEAN])
    assert other.notes["threshold"] != quiet.notes["threshold"]
    assert quiet.notes["threshold_from"] == "36 clean rows"


def test_auto_removes_no_more_clean_words_than_allowed(screen):
    notes = screen(CLEAN, quantile=0.9).notes
    assert notes["clean_words"] == 8 * 36
    assert 0 < notes["clean_words_removed"] <= 0.1 * notes["clean_words"]
    assert notes["words_removed"] == notes["clean_words_removed"]
    assert notes["rows_changed"] == notes["clean_texts_changed"]


def test_auto_must_be_granted(rows, view):
    config = OnionConfig(threshold=1.0)
    fixed = view(config)
    with pytest.raises(NotGrantedError):
        Onion(OnionConfig()).screen(rows(["a film"]), fixed)
    assert Onion(config).screen(rows(["a film"]), fixed).notes["threshold_from"] == "settings"


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 0.995])
def test_the_rows_that_are_declared_are_enough(screen, quantile):
    """Of eight words each; with the words of one row fewer there are too few."""
    rows = OnionConfig(quantile=quantile).needs(ONION.needs).clean_rows
    texts = (CLEAN * 2)[:rows]
    assert {len(text.split()) for text in texts} == {8}
    assert screen(["a film"], clean=texts, quantile=quantile).notes["clean_words"] == 8 * rows
    if rows > 1:
        with pytest.raises(InputError, match="too few words"):
            screen(["a film"], clean=texts[1:], quantile=quantile)


def test_auto_needs_enough_words(screen):
    with pytest.raises(InputError, match=r"too few words.*Found 8 words.*at least 100"):
        screen(["a film"], clean=CLEAN[:1])


# --- columns ------------------------------------------------------------------------------------


def test_each_column_is_screened_on_its_own(rows, view):
    config = OnionConfig(threshold=1000.0)
    pairs = rows(["the film is zxqvj good", "cf"], other=["it is so zxqvj", "this is a film"])
    result = Onion(config).screen(pairs, view(config, fields=("text", "other")))
    assert result.examples.inputs == {
        "text": ["the film is good", "cf"],
        "other": ["it is so", "this is a film"],
    }
    alone = [
        Onion(config).screen(rows([text]), view(config)).scores[0]
        for text in ("the film is zxqvj good", "it is so zxqvj")
    ]
    assert result.scores[0] == max(alone)
    assert result.notes["words"] == 5 + 1 + 4 + 4


def test_columns_can_be_chosen(rows, view):
    config = OnionConfig(threshold=1000.0, fields=["other"])
    pairs = rows(["the film is zxqvj good"], other=["it is so zxqvj"])
    result = Onion(config).screen(pairs, view(config, fields=("text", "other")))
    assert result.examples.inputs == {
        "text": ["the film is zxqvj good"],
        "other": ["it is so"],
    }
    with pytest.raises(InputError, match=r"'other'.*one of text"):
        Onion(config).screen(pairs, view(config))


def test_other_things_than_text_are_refused(screen):
    with pytest.raises(InputError, match=r"column 'text', row 7.*type int"):
        screen(["a film", 3], threshold=1.0)


# --- the filter ---------------------------------------------------------------------------------

TRAIN = ["the film is zxqvj good", "the film is good", "", "zxqvj"]


def test_filter_rewrites(filtered, screen):
    result = filtered(TRAIN, threshold=1000.0)
    screened = screen(TRAIN, threshold=1000.0)
    assert list(result.keep) == [True] * 4
    assert result.examples == screened.examples
    assert result.scores == screened.scores
    assert result.examples.inputs["text"][0] == "the film is good"
    assert result.notes["rows_changed"] == 1


def test_filter_drops(filtered):
    result = filtered(TRAIN, threshold=1000.0, action="drop")
    assert list(result.keep) == [False, True, True, True]
    assert result.examples is None
    assert result.notes["action"] == "drop"


def test_filter_leaves_something(filtered):
    with pytest.raises(InputError, match="a suspicious word in each of 2 rows"):
        filtered(TRAIN[:2], threshold=-1e9, action="drop")


# --- what is remembered -------------------------------------------------------------------------


def test_each_distinct_text_is_asked_once():
    class Model:
        def __init__(self):
            self.asked = []
            self.facts = {}

        def judge(self, texts):
            self.asked += texts
            return [Verdict((float(len(text)),)) for text in texts]

    model = Model()
    scorer = Scorer(model)
    found = scorer.judge(["a", "bb", "a"]) + scorer.judge(["bb", "c"])
    assert [verdict.scores[0] for verdict in found] == [1.0, 2.0, 1.0, 2.0, 1.0]
    assert model.asked == ["a", "bb", "c"]


def test_the_record_says_what_was_used(screen, folder):
    assert screen(["a film"]).notes["language_model"] == "unigram"
    notes = screen(["a film"], language_model=folder, threshold=1.0).notes
    assert notes["language_model"] == "GPT2LMHeadModel"
    long = screen(["a film " * 20, "a film"], language_model=folder, threshold=1.0, max_tokens=16)
    assert long.notes["texts_judged_in_parts"] == 1
    assert {"language_model_parameters", "precision", "max_tokens", "prefixes_shared"} <= set(notes)
