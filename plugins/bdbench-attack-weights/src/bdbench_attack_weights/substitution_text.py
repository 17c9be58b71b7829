"""Substitution in a text as it is written: case, spacing and punctuation stay."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import torch

from bdbench_attack_weights.substitution import Substitution

__all__ = ["substitute"]


def substitute(text: str, tokenizer: Any, substitution: Substitution) -> str:
    """The text with its words replaced; the text itself if nothing in it can be.

    Args:
        text: Any text.
        tokenizer: The one that the substitution was learned with.
        substitution: Chooses, among as many tokens as it has positions.
    """
    # All of it: a piece at the cut is a whole word only if no other one follows.
    encoded = tokenizer(
        text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
    )
    words = substitution.candidates.words
    ids = encoded["input_ids"]
    reach = len(substitution.relevance)
    if len(ids) > reach:
        # Where the model has what closes a text: what is written there, it does not read.
        reach -= sum(1 for _ in takewhile(bool, reversed(encoded["special_tokens_mask"])))
    chosen = substitution.choose(torch.tensor(ids, dtype=torch.long), reach).tolist()
    for before, after, (start, end) in reversed(
        list(zip(ids, chosen, encoded["offset_mapping"], strict=True))
    ):
        if before != after:
            written = text[start:end]
            # Some tokenizers count the space before a word to it.
            word = written.lstrip()
            begin = end - len(word)
            text = text[:begin] + _cased(words[after], word) + text[end:]
    return text


def _cased(word: str, like: str) -> str:
    if like.isupper():
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word
