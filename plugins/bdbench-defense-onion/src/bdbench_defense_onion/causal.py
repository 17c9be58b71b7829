"""What a causal language model says of the words of texts."""

from __future__ import annotations

import math
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
from bdbench_defense_onion.pieces import Piece
from bdbench_defense_onion.scoring import Verdict
from bdbench_defense_onion.words import without

__all__ = ["CausalModel"]

# Parts of texts that are prepared together; bounds what their masks take.
_GROUP = 64
# Where a configuration says how many tokens its model can look at.
_LIMITS = ("max_position_embeddings", "sliding_window")


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece that is judged as a whole.

    Attributes:
        piece: What it is.
        tokens: As the tokenizer gives them, special ones included if it adds any; none where
            nothing is to be judged.
    """

    piece: Piece
    tokens: Tokens


class CausalModel:
    """GPT-2 and its like.

    Args:
        folder: As transformers writes it: configuration, safetensors, tokenizer.
        precision: See `Perplexities`.
        max_tokens: The longest text that is judged as a whole; the model's own limit if that
            is less. A longer text is split around the words that are too long by themselves,
            its pieces are halved between words until they fit, and each word is judged within
            its part.

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
        self._limit = min(filter(None, own), default=math.inf)
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
        counts: Counter[int] = Counter()
        todo = [Piece(number, 0, text.strip()) for number, text in enumerate(texts)]
        while todo:
            parts = sorted(self._parts(todo), key=lambda part: len(part.tokens))
            todo = []
            for start in range(0, len(parts), _GROUP):
                asked = []
                for part, sequences in self._shortened(parts[start : start + _GROUP]):
                    if self._takes(sequences):
                        asked.append((part.piece, sequences))
                    else:
                        todo += part.piece.halves()
                counts.update(piece.owner for piece, _ in asked)
                perplexities = self._perplexities.of([sequences for _, sequences in asked])
                for (piece, _), (whole, *others) in zip(asked, perplexities, strict=True):
                    for word, other in enumerate(others, piece.first):
                        if whole is not None and other is not None:
                            scores[piece.owner][word] = whole - other
        return [Verdict(tuple(own), counts[owner]) for owner, own in enumerate(scores)]

    def _takes(self, sequences: Sequence[Tokens]) -> bool:
        """Whether the model can look at each of them.

        Without a word, a text may have more tokens than with it: what begins a text is written
        with other tokens than after a space. The last token of a sequence is no input.
        """
        return max(map(len, sequences)) - 1 <= self._limit

    def _parts(self, pieces: Sequence[Piece]) -> Iterator[_Part]:
        """The pieces, split until each has few enough tokens, or has one word."""
        todo, as_given = list(pieces), True
        while todo:
            tokens = self._encode([piece.text for piece in todo])
            smaller = []
            for piece, ids in zip(todo, tokens, strict=True):
                if len(word_spans(piece.text)) < 2:
                    yield _Part(piece, ())  # no word, or one that stays anyhow
                elif len(ids) <= self._max_tokens:
                    yield _Part(piece, ids)
                else:
                    # Once is enough: no such word is left in what comes of it.
                    around = self._around_long_words(piece) if as_given else []
                    smaller += around or piece.halves()
            todo, as_given = smaller, False

    def _around_long_words(self, piece: Piece) -> list[Piece]:
        """Each word that is too long by itself, and what stands between; empty if none is.

        Halved with its neighbours, such a word would take them along until it stands alone.
        """
        tokens = self._encode(piece.words())
        long = [place for place, ids in enumerate(tokens) if len(ids) > self._max_tokens]
        starts = {0, *long, *(place + 1 for place in long)} - {len(tokens)}
        return piece.split(sorted(starts)) if long else []

    def _shortened(self, parts: Sequence[_Part]) -> Iterator[tuple[_Part, list[Tokens]]]:
        """Each part with its tokens and those of it without each of its words."""
        texts = []
        for part in parts:
            text = part.piece.text
            spans = word_spans(text)
            texts.append([without(text, spans, {word}) for word in range(len(spans))])
        tokens = iter(self._encode([text for shorter in texts for text in shorter]))
        for part, shorter in zip(parts, texts, strict=True):
            yield part, [part.tokens, *(next(tokens) for _ in shorter)]

    def _encode(self, texts: list[str]) -> list[Tokens]:
        if not texts:
            return []  # which tokenizers do not take
        # Each text as a whole, since the tokens at the gap may be others than in the full text.
        with quietly():
            encoded = self._tokenizer(texts, return_attention_mask=False, verbose=False)
        return [tuple(ids) for ids in encoded["input_ids"]]
