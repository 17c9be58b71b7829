"""A learnable substitution of words: which candidate each position takes.

Qi et al. (2021), section 3.2: position j has a vector q_j, and the candidate s of the word w
there has the score (s - w) . q_j, with s and w their embeddings. The authors' code adds a bias
for each position and rank of a candidate; so does this.
"""

from __future__ import annotations

import torch

from bdbench_attack_weights.substitution_candidates import Candidates

__all__ = ["Substitution"]


class Substitution(torch.nn.Module):
    """Chooses among candidates.

    Args:
        candidates: What there is to choose from.
        embeddings: The word embeddings, shape [tokens, width]; they are not trained.
        positions: How many positions are learned; later ones keep their word.
        count: Candidates at each position.
    """

    def __init__(
        self, candidates: Candidates, embeddings: torch.Tensor, positions: int, count: int
    ) -> None:
        super().__init__()
        self.candidates = candidates
        self.register_buffer("embeddings", embeddings)
        self.relevance = torch.nn.Parameter(torch.zeros(positions, embeddings.shape[1]))
        self.bias = torch.nn.Parameter(torch.zeros(positions, count))

    def mix(self, ids: torch.Tensor, temperature: float) -> torch.Tensor:
        """Embeddings of texts with softly substituted words; differentiable.

        Each position has the mean of its candidates' embeddings under a sample of the
        Gumbel-softmax (Jang et al. 2017) of their scores.

        Args:
            ids: Token numbers, shape [n, tokens].
            temperature: The lower, the closer to one candidate.

        Returns:
            Shape [n, tokens, width].
        """
        choices, scores = self._scores(ids)
        noise = -torch.empty_like(scores).exponential_().log()
        shares = ((scores + noise) / temperature).softmax(dim=-1)
        mixed = torch.einsum("ntk,ntkd->ntd", shares, self._embed(choices))
        rest = self._embed(ids[:, choices.shape[1] :])
        return torch.cat([mixed, rest], dim=1)

    @torch.no_grad()
    def choose(self, ids: torch.Tensor, reach: int | None = None) -> torch.Tensor:
        """The token numbers of one text after substitution, shape [tokens].

        Every position takes its best candidate. If all keep their word, the one position whose
        best other candidate falls least behind takes that. A text without any other candidate
        comes back as it was.

        Args:
            ids: Token numbers, shape [tokens].
            reach: At most so many positions take another candidate; by default all that were
                learned.
        """
        choices, scores = (part[0, :reach] for part in self._scores(ids.unsqueeze(0)))
        best = scores.argmax(dim=-1)
        if len(best) and not best.any():
            margins, others = (scores[:, 1:] - scores[:, :1]).max(dim=-1)
            place = int(margins.argmax())
            if margins[place] > -torch.inf:
                best[place] = others[place] + 1
        chosen = ids.clone()
        chosen[: len(best)] = choices.gather(1, best.unsqueeze(1)).squeeze(1)
        return chosen

    def _scores(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidates [n, positions, count] and their scores; minus infinity for repetitions."""
        choices = self.candidates.of(ids.cpu()).to(ids.device)[:, : len(self.relevance)]
        reach = choices.shape[1]
        # Differences are [n, positions, count, width].
        differences = self._embed(choices) - self._embed(ids[:, :reach]).unsqueeze(2)
        scores = torch.einsum("ntkd,td->ntk", differences, self.relevance[:reach])
        scores = scores + self.bias[:reach]
        repeated = choices == ids[:, :reach].unsqueeze(2)
        repeated[..., 0] = False
        return choices, scores.masked_fill(repeated, -torch.inf)

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(ids, self.get_buffer("embeddings"))
