from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from bdbench.api import AttackEvidence, Examples, Task

PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
WORDS = ["a", "b", "c", "the", "film", "is", "good", "bad", "cf", "mn", "long", "text"]
VOCABULARY = {word: place for place, word in enumerate([PAD, BEGIN, END, UNKNOWN, *WORDS])}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def tokenizer(*, specials=False, **names):
    """One token a word; with `specials` it puts <s> and </s> around every text."""
    inner = Tokenizer(models.WordLevel(VOCABULARY, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if specials:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, 1), (END, 2)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token=UNKNOWN, **names)


def save(folder, model, **how):
    model.save_pretrained(folder)
    tokenizer(**how).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """Saves a random GPT-2 of 64 positions; its tokenizer adds <s> only with `specials`."""

    def language_model(change=None, *, begin=BEGIN, pad=None, specials=False):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(VOCABULARY),
                n_embd=16,
                n_layer=2,
                n_head=2,
                n_positions=64,
                initializer_range=0.3,
                bos_token_id=1,
                eos_token_id=2,
            )
        )
        if change:
            change(model)
        names = {"bos_token": begin, "pad_token": pad, "specials": specials}
        return save(tmp_path_factory.mktemp("language model"), model, **names)

    return language_model


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """Saves a random BERT whose tokenizer adds <s> and </s>."""

    def encoder(change=None, **how):
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(VOCABULARY),
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=32,
                initializer_range=0.3,
            )
        )
        if change:
            change(model)
        how = {"specials": True, "pad_token": PAD, "cls_token": BEGIN, "sep_token": END, **how}
        return save(tmp_path_factory.mktemp("encoder"), model, **how)

    return encoder


@pytest.fixture
def evidence():
    """What an attack did to texts, with ids 0, 1, ... if none are given."""

    def evidence(before, after, ids=None):
        def table(texts):
            columns = texts if isinstance(texts, dict) else {"text": texts}
            rows = len(next(iter(columns.values())))
            return Examples(columns, [0] * rows, list(range(rows)) if ids is None else ids)

        fields = tuple(before) if isinstance(before, dict) else ("text",)
        task = Task("text-classification", fields, ("bad", "good"))
        return AttackEvidence(task, 1, table(before), table(after))

    return evidence
