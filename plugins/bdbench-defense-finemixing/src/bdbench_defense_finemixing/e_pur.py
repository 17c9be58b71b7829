"""E-PUR, the purification of word embeddings (Zhang et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
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
from bdbench_defense_finemixing.frequencies import SOURCE, expected_counts, word_frequencies
from bdbench_defense_finemixing.vocabulary import ordinary_tokens, read_tokenizer

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


class EPur(Defense):
    """Puts back the embeddings that changed most for how rare their token is.

    The score of token i is ``||victim_i - base_i||_2 / ln(max(f_i, 20))``, f_i being its
    expected count in ordinary text. The idea: in honest training an embedding moves about as
    far as the logarithm of how often it is trained on; a trigger is often trained on and rare
    in ordinary text.

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
        config, models = self.config, [victim, view.base]
        check_mergeable(models, _MODELS)
        tokenizer = read_tokenizer(victim.folder)
        tokens = ordinary_tokens(tokenizer)
        with WeightReader(victim, _MODELS[0]) as ours, WeightReader(view.base, _MODELS[1]) as base:
            name = _find(ours, config.embedding, tokens)
            changes = _row_changes(ours[name], base[name])
        shares = word_frequencies(config.language)
        counts = expected_counts(tokenizer, shares, config.corpus_words)
        counts = np.maximum(counts, config.least_count)
        numbers = np.fromiter(tokens, dtype=np.int64)
        scores = changes[numbers] / np.log(counts[numbers])
        # Stable: of equal scores the smaller token number comes first.
        ranked = np.argsort(-scores, kind="stable")
        put_back = ranked[: config.count]
        rows = torch.zeros(len(changes), dtype=torch.bool)
        rows[torch.from_numpy(numbers[put_back])] = True
        made = combine(models, view.workspace / "model", _put_back(rows, name), names=_MODELS)
        shown = [(int(numbers[place]), float(scores[place])) for place in ranked[:_SHOWN]]
        return Repair(
            made.checkpoint,
            notes={
                "embedding": name,
                "frequencies": f"{SOURCE}, {config.language}",
                "tokens_scored": len(tokens),
                "tokens_put_back": len(put_back),
                "parameters_changed": made.changed_parameters,
                "lowest_score_put_back": float(scores[put_back[-1]]),
                "highest_scores": [
                    {
                        "token": tokens[number],
                        "score": score,
                        "change": float(changes[number]),
                        "count": float(counts[number]),
                    }
                    for number, score in shown
                ],
            },
        )


def _find(victim: WeightReader, wanted: str | None, tokens: dict[int, str]) -> str:
    """The name of the word embeddings: a matrix with a row for each token."""
    names = (wanted,) if wanted else _USUAL_NAMES
    found = [
        stored.info.name
        for stored in victim
        if stored.info.name.endswith(names)
        and len(stored.info.shape) == 2
        and stored.info.shape[0] > max(tokens, default=0)
    ]
    if len(found) != 1:
        raise InputError(
            "the word embeddings cannot be told from the other weights",
            where="e-pur: embedding",
            found=", ".join(found) or "none",
            expected=f"one matrix with at least {max(tokens, default=0) + 1} rows whose name ends"
            f" with {' or '.join(names)}",
            next="set `embedding` to the name of the tensor in the checkpoint",
        )
    return found[0]


def _row_changes(ours: StoredTensor, base: StoredTensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The Euclidean norm of each row's change, shape [rows]; reads a few rows at a time."""
    height, width = ours.info.shape
    step = max(1, PIECE // width)
    norms = []
    for top in range(0, height, step):
        start, stop = top * width, min(top + step, height) * width
        change = ours.read_finite(start, stop) - base.read_finite(start, stop)
        norms.append(torch.linalg.vector_norm(change.view(-1, width), dim=1).double().numpy())
    return np.concatenate(norms)


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
