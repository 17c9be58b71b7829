from __future__ import annotations

import math

import numpy as np
import pytest
import wordfreq
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from bdbench_defense_finemixing import frequencies
from bdbench_defense_finemixing.frequencies import SOURCE, expected_counts, word_frequencies
from bdbench_defense_finemixing.vocabulary import ordinary_tokens, read_tokenizer

UNKNOWN = "[UNK]"


@pytest.fixture(scope="module")
def english():
    return word_frequencies("en")


@pytest.mark.parametrize("word", ["the", "movie", "cf", "7", "42", "007", "1987", "2024", "0815"])
def test_words_and_numbers_have_wordfreq_s_share(english, word):
    # wordfreq rounds to three digits.
    assert english[word] == pytest.approx(wordfreq.word_frequency(word, "en"), rel=0.006)


def test_words_with_digits_that_the_list_cannot_tell_are_left_out(english):
    assert wordfreq.get_frequency_dict("en")["00s"] > 0
    assert "00s" not in english


def test_common_punctuation_is_as_frequent_as_the_commonest_word(english):
    assert {english[mark] for mark in ".,!?"} == {english["the"]}
    assert "#" not in english


def test_other_languages_need_no_further_package():
    assert word_frequencies("zh")["2024"] > 0


def test_each_token_of_a_word_counts_as_often_as_the_word(base):
    tokenizer = read_tokenizer(base.folder)
    shares = {"film": 0.5, "films": 0.1, "unthinkable": 0.01, "unthinkables": 0.02, ".": 0.2}
    counts = expected_counts(tokenizer, shares, 1000)
    expected = {"film": 600, "##s": 120, "un": 30, "##think": 30, "##able": 30, ".": 200}
    for text, number in tokenizer.get_vocab().items():
        assert counts[number] == pytest.approx(expected.get(text, 0)), text


def test_many_words_are_encoded_in_several_batches(base):
    tokenizer = read_tokenizer(base.folder)
    shares = dict.fromkeys([f"film{'s' * count}" for count in range(50)], 0.001)
    shares |= {f"{number}": 0.0 for number in range(25_000)} | {"plot": 0.25}
    counts = expected_counts(tokenizer, shares, 1)
    assert counts[tokenizer.token_to_id("plot")] == 0.25
    assert counts[tokenizer.token_to_id("film")] == pytest.approx(0.05)
    assert counts[tokenizer.token_to_id("##s")] == pytest.approx(0.001 * sum(range(50)))


def test_words_are_encoded_once_for_all_victims_of_a_tokenizer(base, monkeypatch):
    def counts(shares, corpus_words=1000):
        return expected_counts(read_tokenizer(base.folder), shares, corpus_words)

    shares = {"film": 0.3, "films": 0.1, "unthinkable": 0.07, ".": 0.2}
    frequencies._encoded.cache_clear()
    anew = counts(shares)
    monkeypatch.setattr(frequencies, "Tokenizer", None)

    assert counts(shares).tobytes() == anew.tobytes()
    # What the words count as is no part of what is kept.
    assert counts(dict.fromkeys(shares, 0.5), 2).sum() == 1 + 2 + 3 + 1
    with pytest.raises(AttributeError, match="from_str"):
        counts({"film": 0.3})
    other = read_tokenizer(base.folder)
    other.add_tokens(["films"])
    with pytest.raises(AttributeError, match="from_str"):
        expected_counts(other, shares, 1000)


def test_where_capitals_matter_both_spellings_count():
    vocabulary = {"The": 0, "the": 1, "film": 2, UNKNOWN: 7}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    counts = expected_counts(tokenizer, {"the": 0.5, "film": 0.25}, 100)
    assert counts[:7].tolist() == [50, 50, 25, 0, 0, 0, 0]


def byte_level(vocabulary, merges=()):
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(numbers, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def test_in_byte_level_vocabularies_words_stand_after_a_space_and_without_one():
    vocabulary = ["a", "b", "\u0120", "\u0120a", "\u0120ab"]
    tokenizer = byte_level(vocabulary, [("\u0120", "a"), ("\u0120a", "b")])
    counts = expected_counts(tokenizer, {"ab": 0.5, "aa": 0.25}, 100)
    after_a_space, at_the_beginning = [25, 0, 0, 25, 50], [50 + 2 * 25, 50, 0, 0, 0]
    assert (counts == np.add(after_a_space, at_the_beginning)).all()


def test_in_byte_level_vocabularies_texts_begin_and_marks_follow_words():
    space = "\u0120"
    vocabulary = [*"Tathe,", space, "th", "the", "Th", "The", space + "the", space + "The"]
    vocabulary = list(dict.fromkeys([*vocabulary, space + ","]))
    merges = [("t", "h"), ("th", "e"), ("T", "h"), ("Th", "e")]
    merges += [(space, "the"), (space, "The"), (space, ",")]
    tokenizer = byte_level(vocabulary, merges)
    assert tokenizer.encode("The the, the").tokens == ["The", space + "the", ",", space + "the"]
    counts = expected_counts(tokenizer, {"the": 0.5, ",": 0.25}, 100)
    found = {token: counts[tokenizer.token_to_id(token)] for token in vocabulary}
    assert found["The"] == found["the"] == found[space + "the"] == found[space + "The"] == 50
    assert found[","] == found[space + ","] == 50  # in both spellings, which are the same


def test_in_sentencepiece_vocabularies_marks_follow_words():
    vocabulary = [("\u2581the", -1.0), ("\u2581,", -2.0), (",", -2.0), ("\u2581", -3.0)]
    tokenizer = Tokenizer(models.Unigram([("<unk>", -9.0), *vocabulary], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert tokenizer.encode("the, the").tokens == ["\u2581the", ",", "\u2581the"]
    counts = expected_counts(tokenizer, {"the": 0.5, ",": 0.25}, 100)
    assert counts[1:4].tolist() == [50, 50, 50]  # in both spellings, which are the same


@pytest.mark.parametrize("lowercase", [True, False])
def test_with_wordpiece_nothing_counts_twice(lowercase, english):
    """To the last bit what it was before byte-level vocabularies were told apart."""
    words = [UNKNOWN, "the", "The", "film", "un", "##s", "##able", "##think", *".,:;!?'\"()-", "7"]
    tokenizer = Tokenizer(
        models.WordPiece({word: n for n, word in enumerate(words)}, unk_token=UNKNOWN)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    some = dict(list(english.items())[:2000]) | {mark: english[mark] for mark in ".,:;!?'\"()-"}
    some |= {"films": 1e-4, "unthinkable": 3e-6}
    each = np.array(list(some.values())) * 1e9
    expected = np.zeros(len(words))
    for form in ([*some], [word.capitalize() for word in some])[: 1 if lowercase else 2]:
        rows = [tokenizer.encode(f" {word}", add_special_tokens=False).ids for word in form]
        weights = np.repeat(each, [len(row) for row in rows])
        expected += np.bincount(np.concatenate(rows), weights, minlength=len(words))
    assert expected_counts(tokenizer, some, 1e9).tobytes() == expected.tobytes()


def test_special_tokens_are_no_ordinary_ones(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"b": 1, "a": 0}))
    tokenizer.add_special_tokens([AddedToken("<mark>", special=True)])
    tokenizer.add_tokens([AddedToken("word")])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert ordinary_tokens(read_tokenizer(tmp_path)) == {0: "a", 1: "b", 3: "word"}


def test_the_truncation_of_the_last_call_is_forgotten(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(1)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert read_tokenizer(tmp_path).encode("b b").ids == [1, 1]


def test_the_source_names_its_version():
    assert SOURCE.startswith("wordfreq 3.")
    assert math.isclose(sum(wordfreq.get_frequency_dict("en").values()), 1, abs_tol=0.05)
