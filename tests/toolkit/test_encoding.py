"""Rows become tokens, and tokens batches: cut, paired and padded."""

from __future__ import annotations

import json
import os

import pytest
from transformers import BertConfig, BertForSequenceClassification

from bdbench.api import Checkpoint, Examples, InputError
from bdbench.toolkit.cutting import CutsRows
from bdbench.toolkit.transformers import Tokens


def pairs(**inputs):
    return Examples(inputs, [0] * 2, [0, 1])


def test_one_text_is_encoded(rows, family, source, start):
    items = family(source).encode(rows, start)
    tokenizer_ids = [len(item.input_ids) for item in items]
    assert tokenizer_ids == [family(source).size(item) for item in items]
    # [CLS] cf [SEP]: a word of two letters is one token.
    assert tokenizer_ids[0] == 3
    assert family(source).encode(rows.select([]), start) == []


def test_rows_are_cut_to_max_length_and_to_what_the_encoder_takes(family, source, start):
    long = Examples({"text": ["a " * 1000]}, [0], [0])
    assert [family(source, 8).size(item) for item in family(source, 8).encode(long, start)] == [8]
    assert [family(source).size(item) for item in family(source, 4096).encode(long, start)] == [512]


def test_the_limit_of_positions_is_kept_where_the_tokenizer_does_not_know_it(family, source, start):
    settings = json.loads((start.folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (start.folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model = family(source, 4096)
    long = Examples({"text": ["a " * 1000]}, [0], [0])
    batch = model.collate(model.encode(long, start))
    assert batch["input_ids"].shape == (1, 511)
    assert model.forward(model.load(start), batch).shape == (1, 2)


def limited(folder, positions, *, kind=None):
    """Fewer positions than the tokenizer tells of."""
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"max_position_embeddings": positions, **({"model_type": kind} if kind else {})}
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(("kind", "expected"), [("bert", 64), ("roberta", 63)])
def test_the_limit_of_positions_is_kept_where_the_tokenizer_says_more(
    family, source, start, kind, expected
):
    limited(start.folder, 64, kind=kind)
    long = Examples({"text": ["a " * 1000]}, [0], [0])
    assert [len(item.input_ids) for item in family(source, 4096).encode(long, start)] == [expected]


def test_no_row_is_longer_than_the_model_has_positions(family, source, start):
    config = BertConfig.from_pretrained(start.folder, max_position_embeddings=16)
    BertForSequenceClassification(config).save_pretrained(start.folder)
    model = family(source, 4096)
    batch = model.collate(model.encode(Examples({"text": ["a " * 1000]}, [0], [0]), start))
    assert model.forward(model.load(start), batch).shape == (1, 2)


def test_what_was_cut_is_known_and_makes_no_item_another(family, source, start):
    model = family(source, 8)
    whole, cut = model.encode(
        Examples({"text": ["a b c d e f", "a b c d e f g"]}, [0] * 2, [0, 1]), start
    )
    assert isinstance(model, CutsRows)
    assert [model.is_cut(whole), model.is_cut(cut)] == [False, True]
    assert whole == cut


def test_pairs_are_read_in_the_order_of_the_task(family, source):
    model = family(source)
    checkpoint = Checkpoint(source)
    forth = model.encode(pairs(question=["aa", "bb"], answer=["cc", "dd"]), checkpoint)
    back = model.encode(pairs(answer=["cc", "dd"], question=["aa", "bb"]), checkpoint)
    other = model.encode(pairs(question=["cc", "dd"], answer=["aa", "bb"]), checkpoint)
    assert forth == back
    assert forth != other
    assert forth[0].token_type_ids == [0, 0, 0, 1, 1]


def test_a_foreign_checkpoint_reads_text_and_text_pair(family, source, copied):
    config = json.loads((copied / "config.json").read_text())
    del config["bdbench_fields"]
    (copied / "config.json").write_text(json.dumps(config))
    model, foreign = family(source), Checkpoint(copied)
    known = model.encode(pairs(question=["aa", "b"], answer=["c", "d"]), Checkpoint(source))
    assert model.encode(pairs(text_pair=["c", "d"], text=["aa", "b"]), foreign) == known
    assert model.encode(pairs(text=["aa", "b"]), foreign)[0].token_type_ids == [0, 0, 0]
    with pytest.raises(InputError, match="bdbench_fields"):
        model.encode(pairs(question=["aa", "b"], answer=["c", "d"]), foreign)


def test_rows_without_the_models_field_are_refused(family, source, start):
    with pytest.raises(InputError, match=r"Found image\. Expected text\."):
        family(source).encode(Examples({"image": [b""]}, [0], [0]), start)


def test_a_tokenizer_that_was_written_anew_is_read_anew(family, source, copied):
    model, checkpoint = family(source), Checkpoint(copied)
    rows = pairs(question=["aa", "b"], answer=["c", "d"])
    before = model.encode(rows, checkpoint)
    config = json.loads((copied / "config.json").read_text())
    config["bdbench_fields"] = ["answer", "question"]
    (copied / "config.json").write_text(json.dumps(config))
    os.utime(copied / "config.json", ns=(1, 1))
    assert model.encode(rows, checkpoint) != before


def test_batches_are_padded_to_their_longest_row(family, source):
    items = [Tokens([2, 9, 3], [0, 0, 0], 7), Tokens([2, 9, 9, 8, 3], [0, 0, 1, 1, 1], 7)]
    batch = {name: rows.tolist() for name, rows in family(source).collate(items).items()}
    assert batch == {
        "input_ids": [[2, 9, 3, 7, 7], [2, 9, 9, 8, 3]],
        "attention_mask": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]],
        "token_type_ids": [[0, 0, 0, 0, 0], [0, 0, 1, 1, 1]],
    }
    assert "token_type_ids" not in family(source).collate([Tokens([2, 3], None, 0)])
