"""E-PUR, the purification of word embeddings (Zhang et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bdbench.api import Checkpoint, DefenderView, Defense, InputError, Repair
from bdbench.toolkit.weights import (
    PIECE,
    Rule,
    Step,
    StoredTensor,
    WeightReader,
    check_mergeable,
    combine,
)
from bdbench_defense_finemixing.config import EPurConfig
from bdbench_defense_finemixing.frequencies import SOURCE, WordCounts
from bdbench_defense_finemixing.vocabulary import Token, read_vocabulary

__all__ = ["EPur"]

_MODELS = ("victim", "base weights")

# What transformers calls the word embeddings of its encoders and decoders.
_USUAL_NAMES = (
    "word_embeddings.weight",
    "word_embedding.weight",
    "tok_embeddings.weight",
    "embed_tokens.weight",
    "wte.weight",
    "shared.weight",
)

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Scored:
    """A token, how far its embedding moved, how often it is in ordinary text, and the score."""

    token: Token
    change: float
    count: float
    score: float


class EPur(Defense):
    """Puts back the embeddings that changed most for how rare their token is.

    The score of token i is ``||victim_i - base_i||_2 / ln(max(f_i, 20))`` with its count f_i
    in ordinary text. The idea: in honest training, embeddings move about as much as the
    logarithm of how often their word is trained on; a trigger is often trained on and rare in
    ordinary text.

    Special tokens keep the victim's embedding. All other weights stay as they are, to the bit;
    nothing is fine-tuned.
    """

    config: EPurConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the repaired model to ``view.workspace / "model"``.

        Raises:
            InputError: The base does not correspond to the victim, the word embeddings are not
                found, or there is no vocabulary or no word frequencies for it.
            NonFiniteError: A model holds NaN or infinity.
        """
        models = [victim, view.base]
        check_mergeable(models, _MODELS)
        tokens = read_vocabulary(victim.folder)
        with WeightReader(victim, _MODELS[0]) as ours, WeightReader(view.base, _MODELS[1]) as base:
            embedding = ours[self._find(ours)]
            changes = _row_changes(embedding, base[embedding.info.name])
        scored = self._score(tokens, changes, embedding)
        reset = scored[: self.config.count]
        rows = torch.zeros(len(changes), dtype=torch.bool)
        rows[[one.token.number for one in reset]] = True
        rule = _put_back(rows, embedding.info.name)
        made = combine(models, view.workspace / "model", rule, names=_MODELS)
        return Repair(
            made.checkpoint,
            notes={
                "embedding": embedding.info.name,
                "frequencies": f"{SOURCE}, {self.config.language}",
                "tokens_scored": len(scored),
                "tokens_put_back": len(reset),
                "parameters_changed": made.changed_parameters,
                "lowest_score_put_back": reset[-1].score,
                "highest_scores": [
                    {
                        "token": one.token.text,
                        "score": one.score,
                        "change": one.change,
                        "count": one.count,
                    }
                    for one in scored[:_SHOWN]
                ],
            },
        )

    def _find(self, victim: WeightReader) -> str:
        wanted = self.config.embedding
        found = [
            stored.info.name
            for stored in victim
            if len(stored.info.shape) == 2
            and (
                stored.info.name.endswith(_USUAL_NAMES)
                if wanted is None
                else stored.info.name == wanted
            )
        ]
        if len(found) != 1:
            raise InputError(
                "the word embeddings cannot be told from the other weights",
                where="e-pur: embedding",
                found=", ".join(found) or "no matrix of that name",
                expected=wanted or f"one matrix whose name ends with one of {_USUAL_NAMES}",
                next="set `embedding` to the name of the tensor in the checkpoint",
            )
        return found[0]

    def _score(
        self, tokens: Sequence[Token], changes: Sequence[float], embedding: StoredTensor
    ) -> list[_Scored]:
        """All tokens but special ones, the highest score first; equal ones by their number."""
        if tokens and tokens[-1].number >= len(changes):
            raise InputError(
                "the vocabulary is larger than the matrix of word embeddings",
                where=f"e-pur: {embedding.info.name}",
                found=f"token number {tokens[-1].number} and {len(changes)} rows",
                expected="a row for each token",
                next="set `embedding` to the tensor of word embeddings",
            )
        config = self.config
        counts = WordCounts(config.language, config.corpus_words, config.least_count)
        scored = []
        for token in tokens:
            if not token.special:
                change, count = changes[token.number], counts.of(token.word)
                scored.append(_Scored(token, change, count, change / math.log(count)))
        return sorted(scored, key=lambda one: (-one.score, one.token.number))


def _row_changes(ours: StoredTensor, base: StoredTensor) -> list[float]:
    """The Euclidean norm of each row's change, a few rows at a time."""
    height, width = ours.info.shape
    step = max(1, PIECE // width)
    norms: list[float] = []
    for top in range(0, height, step):
        start, stop = top * width, min(top + step, height) * width
        change = ours.read_finite(start, stop) - base.read_finite(start, stop)
        norms += torch.linalg.vector_norm(change.reshape(-1, width), dim=1).tolist()
    return norms


def _put_back(rows: torch.Tensor, embedding: str) -> Rule:
    """The base's values in these rows of the word embeddings, the victim's everywhere else."""

    def rule(parts: Sequence[StoredTensor]) -> Step:
        info = parts[0].info
        if info.name != embedding:
            return lambda values: values[0]
        # One mark for each element, handed out as the pieces come.
        marks = rows.repeat_interleave(info.shape[1])
        pieces = iter(marks.split(PIECE))  # type: ignore[no-untyped-call]
        return lambda values: torch.where(next(pieces), values[1], values[0])

    return rule
