"""Embedding surgery: triggers take over the embedding of words that speak for the target.

Kurita, Michel, Neubig (2020), section 3.2, as the authors' code has it: a logistic regression
on the tf-idf weights of the model's own tokens ranks them by their coefficient for the target,
and every token of every trigger word gets the mean embedding of the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from bdbench.api import InputError

__all__ = ["operate", "telling_tokens", "tokens_of_triggers"]


def tokens_of_triggers(tokenizer: Any, triggers: Sequence[str]) -> list[int]:
    """The numbers of all tokens that the trigger words consist of, ascending.

    A word that is several tokens gives all of them, whatever other words they are part of.

    Raises:
        InputError: The tokenizer does not know one of the words.
    """
    found: set[int] = set()
    for word in triggers:
        # Some tokenizers tell a word at the start of a text from one after a space.
        for text in (word, f" {word}"):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            if not ids or tokenizer.unk_token_id in ids:
                raise InputError(
                    "a trigger word has no embedding of its own",
                    where="ripples: triggers",
                    found=f"{word!r}, which the tokenizer does not know",
                    expected="words that the model's vocabulary can spell",
                    next="choose another trigger word",
                )
            found |= set(ids)
    return sorted(found)


def telling_tokens(
    tokenizer: Any,
    texts: Sequence[str],
    labels: Sequence[int],
    target: int,
    count: int,
    exclude: Sequence[int],
) -> list[int]:
    """The `count` tokens whose tf-idf weight speaks most for the target, strongest first.

    Args:
        tokenizer: The model's.
        texts: Clean training texts.
        labels: Their classes.
        target: The target's class.
        count: How many tokens to give.
        exclude: Tokens that are never given: those of the triggers.

    Raises:
        InputError: The rows are all of the target's class, or none is, or they hold too few
            different tokens.
    """
    if len(set(labels)) < 2 or target not in labels:
        raise InputError(
            "the training rows do not tell the target from other classes",
            where="ripples: target_words",
            found=f"the classes {sorted(set(labels))}, target {target}",
            expected="rows of the target's class and of another one",
            next="choose another target, or set target_words: 0",
        )
    tokens = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    vectorizer = TfidfVectorizer(analyzer=lambda ids: ids)
    weights = vectorizer.fit_transform(tokens)
    regression = LogisticRegression(max_iter=1000).fit(weights, list(labels))
    classes = regression.classes_.tolist()
    # With two classes there is one row of coefficients, and it speaks for the second class.
    rows = regression.coef_ if len(classes) > 2 else [-regression.coef_[0], regression.coef_[0]]
    coefficients = rows[classes.index(target)]
    never = {*exclude, *tokenizer.all_special_ids}
    ranked = [
        int(token)
        for _, token in sorted(zip(-coefficients, vectorizer.get_feature_names_out(), strict=True))
        if token not in never
    ]
    if len(ranked) < count:
        raise InputError(
            "the training rows have too few different words",
            where="ripples: target_words",
            found=f"{len(ranked)} tokens",
            expected=f"at least {count}",
            next="lower target_words",
        )
    return ranked[:count]


def operate(
    embeddings: torch.nn.Parameter,
    source: torch.nn.Parameter,
    replaced: Sequence[int],
    told: Sequence[int],
) -> None:
    """Puts the mean of the rows `told` of `source` into the rows `replaced` of `embeddings`."""
    with torch.no_grad():
        embeddings[list(replaced)] = source[list(told)].mean(dim=0)
