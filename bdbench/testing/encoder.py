"""The model of the tiny text worlds: a BERT of two layers, with a vocabulary of its own."""

from __future__ import annotations

import string
from typing import Any

from pydantic import Field
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bdbench.api import ComponentConfig, SeedStream
from bdbench.testing.rows import WORDS
from bdbench.toolkit.transformers import EncoderClassifier, Pretrained, seeded

__all__ = ["TinyEncoder", "TinyEncoderConfig"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TRIGGERS = ("cf", "bb", "ak", "mn", "tq", "mb", *"\u2248\u2261\u2208\u2286\u2295\u2297")
CHARACTERS = tuple(string.ascii_lowercase + string.digits + string.punctuation)
POSITIONS = 128


class TinyEncoderConfig(ComponentConfig):
    """Nothing that a test has to set."""

    max_length: int = Field(default=64, ge=4, le=POSITIONS, description="Tokens of a row.")


class TinyEncoder(EncoderClassifier):
    """Two layers of width 16 with random weights; drawn wider than is usual, so that they differ.

    Whole words are those of `bdbench.testing.rows` and some that triggers are made of.
    """

    def __init__(self, config: TinyEncoderConfig | None = None) -> None:
        super().__init__(config or TinyEncoderConfig())

    def pretrained(self, seeds: SeedStream) -> Pretrained:
        """Random weights, from the child ``body`` of `seeds`."""
        tokenizer = _tokenizer()
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=POSITIONS,
            initializer_range=0.2,
            pad_token_id=0,
        )
        with seeded(seeds.child("body").seed()):
            weights = BertModel(config).state_dict()
        return Pretrained(config=config, weights=weights, tokenizer=tokenizer)


def _tokenizer() -> Any:
    pieces = [f"##{character}" for character in CHARACTERS if character.isalnum()]
    words = dict.fromkeys((*SPECIAL, *CHARACTERS, *WORDS, *TRIGGERS, *pieces))
    vocabulary = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name[1:-1].lower()}_token": name for name in SPECIAL},
    )
