"""The metric: test rows with and without the trigger, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bdbench.api import AttackEvidence, AttackMetric
from bdbench_metric_stealth.config import StealthConfig
from bdbench_metric_stealth.pairs import Pair, changed_pairs
from bdbench_metric_stealth.words import changed_share

__all__ = ["Stealth"]


class Stealth(AttackMetric):
    """What a trigger changes in the texts of the test rows that bear it.

    Of a row only the texts that the trigger changed count, so a pair of which the attack
    touches one text is judged by that text; of several changed texts the mean counts.
    """

    config: StealthConfig

    def measure(self, evidence: AttackEvidence) -> dict[str, float | None]:
        """The values that the spec lists.

        ``embedding_similarity`` is None without an encoder. Texts too short to have a
        perplexity or an embedding are left out of that value, which is None if none is left.

        Raises:
            InputError: There are no rows, the two tables hold other rows, a field is not
                text, or the language model or the encoder cannot be used.
            NonFiniteError: A perplexity or an embedding is NaN or infinite.
        """
        rows = changed_pairs(evidence, self.config.max_rows)
        pairs = list(dict.fromkeys(pair for row in rows for pair in row))
        perplexities = self._perplexities(sorted({text for pair in pairs for text in pair}))
        return {
            "changed_words": _mean(rows, {pair: changed_share(*pair) for pair in pairs}, 0),
            "perplexity_change": _mean(
                rows,
                {
                    (before, after): perplexities[after] - perplexities[before]
                    for before, after in pairs
                    if before in perplexities and after in perplexities
                },
                0,
            ),
            "embedding_similarity": None
            if self.config.encoder == "none"
            else _mean(rows, self._similarities(pairs), 1),
        }

    def _perplexities(self, texts: Sequence[str]) -> Mapping[str, float]:
        source = self.config.language_model
        if source == "unigram":
            from bdbench_metric_stealth.unigram import unigram_perplexities  # noqa: PLC0415

            return unigram_perplexities(texts)
        # These bring in torch and transformers, which word frequencies do without.
        from bdbench.toolkit.hub_models import hub_folder  # noqa: PLC0415
        from bdbench_metric_stealth.causal import CausalModel  # noqa: PLC0415

        folder = hub_folder(source, where="stealth: language_model")
        return CausalModel(folder, self.config.max_tokens).perplexities(texts)

    def _similarities(self, pairs: Sequence[Pair]) -> Mapping[Pair, float]:
        from bdbench.toolkit.hub_models import hub_folder  # noqa: PLC0415
        from bdbench_metric_stealth.encoder import Encoder  # noqa: PLC0415
        from bdbench_metric_stealth.minilm import minilm_folder  # noqa: PLC0415

        if self.config.encoder == "minilm":
            folder = minilm_folder(self.config.minilm)
        else:
            folder = hub_folder(self.config.encoder, where="stealth: encoder")
        return Encoder(folder, self.config.max_tokens).similarities(pairs)


def _mean(
    rows: Sequence[Sequence[Pair]], values: Mapping[Pair, float], unchanged: float
) -> float | None:
    """The mean over rows of the mean over their pairs; pairs without a value are left out."""
    found = []
    for row in rows:
        own = [values[pair] for pair in row if pair in values]
        if own or not row:
            found.append(math.fsum(own) / len(own) if own else unchanged)
    return math.fsum(found) / len(found) if found else None
