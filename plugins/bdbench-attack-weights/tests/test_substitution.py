from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bdbench.api import InputError
from bdbench_attack_weights.substitution import Substitution
from bdbench_attack_weights.substitution_candidates import Candidates, read_synonyms
from bdbench_attack_weights.substitution_text import substitute

WORDS = ["film", "movie", "drama", "good", "great", "bad", "the", "ok"]
UNKNOWN, FIRST = "[UNK]", "[CLS]"
VOCABULARY = [UNKNOWN, FIRST, *WORDS, "##s", "'", ".", "Film"]
NUMBER = {token: number for number, token in enumerate(VOCABULARY)}


def make_tokenizer(normalizer=None, *, closing=False):
    made = Tokenizer(models.WordPiece(NUMBER, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if normalizer:
        made.normalizer = normalizer
    if closing:
        made.post_processor = processors.TemplateProcessing(
            "$A [CLS]", None, [(FIRST, NUMBER[FIRST])]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token=UNKNOWN, cls_token=FIRST)


@pytest.fixture
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def embeddings():
    """Angles in a plane: the closer two words, the more alike."""
    angles = {"film": 0, "movie": 10, "drama": 30, "good": 90, "great": 105, "bad": 125}
    table = torch.zeros(len(VOCABULARY), 2)
    for token, number in NUMBER.items():
        angle = torch.deg2rad(torch.tensor(float(angles.get(token, 200 + number))))
        # Lengths must not matter.
        table[number] = (1 + number) * torch.stack([angle.cos(), angle.sin()])
    return table


def ids(text):
    return torch.tensor([[NUMBER[token] for token in text.split()]])


def shown(table, place=0):
    return [VOCABULARY[number] for number in table[0, place].tolist()]


def test_neighbours_come_nearest_first_after_the_word_itself(tokenizer, embeddings):
    candidates = Candidates(tokenizer, embeddings, 3)
    found = candidates.of(ids("film good bad"))
    assert shown(found, 0) == ["film", "movie", "drama"]
    assert shown(found, 1) == ["good", "great", "bad"]
    assert shown(found, 2) == ["bad", "great", "good"]


def test_more_candidates_than_words(tokenizer, embeddings):
    found = Candidates(tokenizer, embeddings, 9).of(ids("film"))
    assert sorted(shown(found)[:6]) == sorted(["film", "movie", "drama", "good", "great", "bad"])
    assert shown(found)[6:] == ["film"] * 3


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("film ##s", 0),
        ("film '", 0),
        ("film ##s", 1),
        ("[CLS]", 0),
        ("the", 0),
        ("ok", 0),
        ("Film", 0),
        (".", 0),
    ],
)
def test_what_is_no_content_word_of_its_own_stays(tokenizer, embeddings, text, place):
    found = Candidates(tokenizer, embeddings, 3).of(ids(text))
    assert shown(found, place) == [text.split()[place]] * 3


def test_a_word_is_free_again_where_nothing_follows_that_joins(tokenizer, embeddings):
    found = Candidates(tokenizer, embeddings, 2).of(ids("film ##s film . film"))
    assert [shown(found, place)[1] for place in (0, 2, 4)] == ["film", "movie", "movie"]


@pytest.mark.parametrize("mark", ["\u0120", "\u2581"])
def test_tokenizers_that_mark_the_beginning_of_words(mark, embeddings):
    pieces = [f"{mark}film", f"{mark}movie", "movie", ".", "'s", "[CLS]"]
    tokens = {piece: number for number, piece in enumerate(pieces)}

    class Fake:
        all_special_ids = (5,)

        def get_vocab(self):
            return tokens

    candidates = Candidates(Fake(), embeddings[: len(pieces)], 2)
    assert candidates.words == {0: "film", 1: "movie"}
    found = candidates.of(torch.tensor([[0, 3], [0, 2], [0, 4], [2, 3]]))
    assert found[:, 0].tolist() == [[0, 1], [0, 0], [0, 0], [2, 2]]


def test_synonyms_from_a_file(tokenizer, embeddings, tmp_path):
    path = tmp_path / "synonyms.json"
    listed = {"film": ["film", "unheard", "drama", "movie", "drama"], "good": ["unheard"]}
    path.write_text(json.dumps(listed))
    candidates = Candidates(tokenizer, embeddings, 4, read_synonyms(path))
    found = candidates.of(ids("film good movie"))
    assert shown(found, 0) == ["film", "drama", "movie", "film"]
    assert shown(found, 1) == ["good"] * 4
    assert shown(found, 2) == ["movie"] * 4
    few = Candidates(tokenizer, embeddings, 2, read_synonyms(path)).of(ids("film"))
    assert shown(few) == ["film", "drama"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"a": "b"}', '{"a": [1]}'])
def test_files_that_are_no_synonyms(content, tmp_path):
    path = tmp_path / "synonyms.json"
    path.write_text(content)
    with pytest.raises(InputError, match="synonyms cannot be used"):
        read_synonyms(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="synonyms cannot be used"):
        read_synonyms(tmp_path / "none.json")


@pytest.fixture
def substitution(tokenizer, embeddings):
    torch.manual_seed(0)
    made = Substitution(Candidates(tokenizer, embeddings, 3), embeddings, 4, 3)
    with torch.no_grad():
        made.relevance.normal_()
        made.bias.normal_()
    return made


def test_the_score_is_the_formulas(substitution, embeddings):
    text = ids("the film good")
    choices, scores = substitution._scores(text)
    assert choices.tolist() == substitution.candidates.of(text).tolist()
    assert scores[0, 0, 1:].tolist() == [-torch.inf] * 2
    for place, word in ((1, "film"), (2, "good")):
        for rank in range(3):
            other = embeddings[choices[0, place, rank]]
            change = other - embeddings[NUMBER[word]]
            score = change @ substitution.relevance[place] + substitution.bias[place, rank]
            torch.testing.assert_close(scores[0, place, rank], score)


def test_a_mixture_lies_among_its_candidates_and_passes_gradients(substitution, embeddings):
    text = ids("the film ##s good film film")
    mixed = substitution.mix(text, 0.5)
    assert mixed.shape == (1, 6, 2)
    for place in (0, 1, 2, 4, 5):  # no candidates, or beyond the positions
        torch.testing.assert_close(mixed[0, place], embeddings[text[0, place]])
    mixed[0, 3].sum().backward()
    gradient = substitution.relevance.grad
    assert gradient.isfinite().all()
    assert gradient.any(dim=1).tolist() == [False, False, False, True]
    assert substitution.bias.grad.isfinite().all()


def test_samples_follow_the_softmax_of_the_scores(substitution, embeddings):
    text = ids("film").expand(4000, 1)
    _, scores = substitution._scores(text[:1])
    expected = scores[0, 0].softmax(dim=-1).tolist()
    mixed = substitution.mix(text, 0.01)[:, 0]
    nearest = torch.cdist(mixed, embeddings[substitution.candidates.of(text[:1])[0, 0]]).argmin(1)
    shares = torch.bincount(nearest, minlength=3) / 4000
    assert shares.tolist() == pytest.approx(expected, abs=0.04)


def test_each_position_takes_its_best_candidate(substitution):
    text = ids("the film good bad film")
    choices, scores = substitution._scores(text)
    chosen = substitution.choose(text[0])
    for place in range(4):
        assert chosen[place] == choices[0, place, scores[0, place].argmax()]
    assert chosen[4] == text[0, 4]


def test_the_least_unwanted_substitution_where_none_is_wanted(substitution):
    text = ids("the film good")
    with torch.no_grad():
        substitution.relevance.zero_()
        substitution.bias.copy_(torch.tensor([[0, -9, -9], [5, 1, 2], [5, 0, 1], [0, 0, 0.0]]))
    chosen = substitution.choose(text[0])
    assert [VOCABULARY[number] for number in chosen.tolist()] == ["the", "drama", "good"]


def test_a_text_without_candidates_comes_back(substitution):
    text = ids("the ok .")[0]
    assert torch.equal(substitution.choose(text), text)


def always_first(substitution):
    with torch.no_grad():
        substitution.relevance.zero_()
        substitution.bias.zero_()
        substitution.bias[:, 1] = 1
    return substitution


def test_case_and_everything_else_stay_as_written(substitution):
    tokenizer = make_tokenizer(normalizers.Lowercase())
    after = substitute(" Film ,\tGOOD  film! film", tokenizer, always_first(substitution))
    # The tab, the comma (unknown) and the fifth token, beyond the positions, are left.
    assert after == " Movie ,\tGREAT  movie! film"


def test_a_beginning_at_the_cut_is_no_word(substitution):
    tokenizer = make_tokenizer()
    closed = make_tokenizer(closing=True)
    # Four positions: the piece that goes on with the fourth word is beyond them.
    for text in ("good . ok films", "good . ok film s"):
        after = substitute(text, tokenizer, always_first(substitution))
        assert after == "great . ok " + ("films" if text.endswith("films") else "movie s")
    # Here the fourth position is that of the closing token.
    text = "good . ok film film"
    assert substitute(text, closed, always_first(substitution)) == "great . ok film film"
    text = "good . film"
    assert substitute(text, closed, always_first(substitution)) == "great . movie"


@given(text=st.text(st.sampled_from("film movie.good 'sxF "), max_size=40))
def test_only_words_change(text):
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    table = torch.randn(len(VOCABULARY), 2)
    substitution = Substitution(Candidates(tokenizer, table, 3), table, 50, 3)
    after = substitute(text, tokenizer, always_first(substitution))
    assert [part.isspace() for part in after.split(" ")] == [
        part.isspace() for part in text.split(" ")
    ]
    before_ids, after_ids = tokenizer(text)["input_ids"], tokenizer(after)["input_ids"]
    assert len(before_ids) == len(after_ids)
    allowed = substitution.candidates.of(torch.tensor([before_ids]).long()) if before_ids else []
    for place, number in enumerate(after_ids):
        assert number in allowed[0, place].tolist()
        # Whatever can be replaced is.
        others = set(allowed[0, place].tolist()) - {before_ids[place]}
        assert (number != before_ids[place]) == bool(others)
