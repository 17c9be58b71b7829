"""A small BERT with random weights and a made-up vocabulary, for tests of mechanics.

Without pre-training, averages of such models collapse to one class: nothing can be concluded
from its scores about defenses that mix weights.
"""

from __future__ import annotations

import itertools
import string
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bdbench.api import SeedStream
from bdbench.builtin.models_config import TinyBertConfig
from bdbench.toolkit.transformers import EncoderClassifier, Pretrained, seeded

__all__ = ["TinyBert"]

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_POSITIONS = 512


class TinyBert(EncoderClassifier):
    """A BERT of any small size; needs no download and no file."""

    config: TinyBertConfig

    def pretrained(self, seeds: SeedStream) -> Pretrained:
        """Random weights, from the child ``body`` of `seeds`."""
        tokenizer = _tokenizer()
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.config.hidden_size,
            num_hidden_layers=self.config.layers,
            num_attention_heads=self.config.heads,
            intermediate_size=self.config.intermediate_size,
            hidden_dropout_prob=self.config.dropout,
            attention_probs_dropout_prob=self.config.dropout,
            max_position_embeddings=_POSITIONS,
            pad_token_id=0,
        )
        with seeded(seeds.child("body").seed()):
            weights = BertModel(config).state_dict()
        return Pretrained(config=config, weights=weights, tokenizer=tokenizer)


def _tokenizer() -> Any:
    """WordPiece over single characters and pairs of letters, lower-cased.

    A word of two letters, such as the rare words of many triggers, is one token; a longer one
    falls into pairs. A word with a character beyond ASCII is unknown, accents apart.
    """
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    starts = [*characters, *map("".join, itertools.product(string.ascii_lowercase, repeat=2))]
    inner = [f"##{piece}" for piece in starts if piece.isalnum()]
    vocabulary = {piece: number for number, piece in enumerate([*_SPECIAL, *starts, *inner])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=_POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name[1:-1].lower()}_token": name for name in _SPECIAL},
    )
