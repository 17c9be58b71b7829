"""What a causal language model says of the words of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdbench.toolkit.transformers_folder import quietly
from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.config import Precision
from bdbench_defense_onion.loading import can_pack, keep_output_exact, load
from bdbench_defense_onion.packing import Tokens
from bdbench_defense_onion.perplexity import Perplexities
from bdbench_defense_onion.scoring import Verdict
from bdbench_defense_onion.words import without

__all__ = ["CausalModel"]

# Parts of texts that are prepared together; bounds what their masks take.
_GROUP = 64
# Where a configuration says how many tokens its model can look at.
_LIMITS = ("max_position_embeddings", "sliding_window")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text that is judged as a whole.

    Attributes:
        owner: The number of the text.
        first: The number of its first word there.
        text: Without whitespace around it.
        tokens: As the tokenizer gives them, special ones included if it adds any.
    """

    owner: int
    first: int
    text: str
    tokens: Tokens


class CausalModel:
    """GPT-2 and its like.

    Args:
        folder: As transformers writes it: configuration, safetensors, tokenizer.
        precision: See `Perplexities`.
        max_tokens: The longest text that is judged as a whole; the model's own limit if that
            is less. A longer text is halved between words until its parts fit, and each word
            judged within its part.

    Raises:
        InputError: The folder does not hold a causal language model with its tokenizer.
    """

    def __init__(self, folder: Path, *, precision: Precision, max_tokens: int) -> None:
        model, self._tokenizer = load(folder)
        packs = can_pack(model)
        bf16 = precision == "bf16"
        if bf16:
            keep_output_exact(model)
        self._perplexities = Perplexities(model, bf16=bf16, packs=packs, where=str(folder))
        config = model.config.get_text_config()
        own = [getattr(config, name, None) for name in _LIMITS]
        self._max_tokens = min([max_tokens, *filter(None, own)])
        self.facts: Mapping[str, Any] = {
            "language_model": type(model).__name__,
            "language_model_parameters": model.num_parameters(),
            "precision": precision,
            "max_tokens": self._max_tokens,
            "prefixes_shared": packs,
        }

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """The suspicion of each word of each text.

        A word has no score if it is alone in its part, or if without it fewer than two tokens are
        left, which have no perplexity.

        Raises:
            NonFiniteError: A perplexity is NaN or infinite.
        """
        scores: list[list[float | None]] = [[None] * len(text.split()) for text in texts]
        parts = sorted(self._parts(texts), key=lambda part: len(part.tokens))
        for start in range(0, len(parts), _GROUP):
            group = parts[start : start + _GROUP]
            perplexities = self._perplexities.of(self._shortened(group))
            for part, (whole, *others) in zip(group, perplexities, strict=True):
                for word, other in enumerate(others, part.first):
                    if whole is not None and other is not None:
                        scores[part.owner][word] = whole - other
        counts = Counter(part.owner for part in parts)
        return [Verdict(tuple(own), counts[owner]) for owner, own in enumerate(scores)]

    def _parts(self, texts: Sequence[str]) -> Iterator[_Part]:
        todo = [(number, 0, text.strip()) for number, text in enumerate(texts)]
        while todo:
            tokens = self._encode([text for *_, text in todo])
            halves = []
            for (owner, first, text), ids in zip(todo, tokens, strict=True):
                spans = word_spans(text)
                middle = len(spans) // 2
                if not middle:
                    yield _Part(owner, first, text, ())  # no word, or one that stays anyhow
                elif len(ids) <= self._max_tokens:
                    yield _Part(owner, first, text, ids)
                else:
                    halves.append((owner, first, text[: spans[middle - 1][1]]))
                    halves.append((owner, first + middle, text[spans[middle][0] :]))
            todo = halves

    def _shortened(self, parts: Sequence[_Part]) -> list[list[Tokens]]:
        """For each part its tokens, then those of it without each of its words."""
        texts = []
        for part in parts:
            spans = word_spans(part.text)
            texts.append([without(part.text, spans, {word}) for word in range(len(spans))])
        tokens = iter(self._encode([text for shorter in texts for text in shorter]))
        return [
            [part.tokens, *(next(tokens) for _ in shorter)]
            for part, shorter in zip(parts, texts, strict=True)
        ]

    def _encode(self, texts: list[str]) -> list[Tokens]:
        if not texts:
            return []  # which tokenizers do not take
        # Each text as a whole, since the tokens at the gap may be others than in the full text.
        with quietly():
            encoded = self._tokenizer(texts, return_attention_mask=False, verbose=False)
        return [tuple(ids) for ids in encoded["input_ids"]]
