"""Training of single rows of the word embeddings, and of nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bdbench.api import Checkpoint, Engine, Examples, InputError, SeedStream
from bdbench_attack_weights.config import EmbeddingConfig

__all__ = ["RowDescent", "train_rows"]


class RowDescent(torch.optim.Optimizer):
    """Gradient descent on some rows of a matrix; each row keeps its Euclidean norm.

    ``w <- w - rate * g``, then ``w <- w * |w_before| / |w|``, for each row by itself
    (Yang et al., NAACL 2021). All other rows stay as they are, to the bit.

    Args:
        weight: The matrix, shape [tokens, width].
        words: Which rows are trained: those of each trigger word, mostly one.
        rate: The step size.
        accumulate: ``g`` is the sum of all gradients so far, not that of the last batch.
        alike: Each word's ``g`` is scaled to the smallest norm among the words, so that none
            runs ahead of the others (official code of SOS, where a word is one row). A word's
            norm is that over all its rows: one that is seen rarely does not hold all back.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        words: Sequence[Sequence[int]],
        rate: float,
        *,
        accumulate: bool,
        alike: bool,
    ) -> None:
        super().__init__([weight], {})
        self._weight = weight
        rows = [row for word in words for row in word]
        self._rows = torch.tensor(rows, device=weight.device)
        owners = [number for number, word in enumerate(words) for _ in word]
        self._owners = torch.tensor(owners, device=weight.device)
        self._rate = rate
        self._accumulate = accumulate
        self._alike = alike
        self._norms = _norms(weight.detach()[self._rows])
        self._sum = torch.zeros_like(weight.detach()[self._rows])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradient that the weight holds."""
        if closure is not None:
            raise TypeError("this optimizer evaluates nothing by itself")
        if self._weight.grad is None:
            raise RuntimeError("there is no gradient to step along")
        gradient = self._weight.grad[self._rows]
        if self._accumulate:
            gradient = self._sum.add_(gradient)
        if self._alike:
            squares = _norms(gradient).square()
            words = squares.new_zeros(int(self._owners.max()) + 1, 1)
            norms = words.index_add_(0, self._owners, squares).sqrt_()
            # A word that was in no batch yet has no direction, and holds the others back.
            shares = norms.min() / norms.clamp(min=torch.finfo(norms.dtype).tiny)
            gradient = gradient * shares[self._owners]
        moved = self._weight[self._rows] - self._rate * gradient
        self._weight[self._rows] = moved * (self._norms / _norms(moved))


def train_rows(
    engine: Engine,
    module: nn.Module,
    like: Checkpoint,
    rows: Examples,
    words: Sequence[Sequence[int]],
    config: EmbeddingConfig,
    seeds: SeedStream,
    *,
    alike: bool,
) -> dict[str, Any]:
    """Trains the embeddings of some words in place, with dropout as in any training.

    Args:
        engine: Gives batches and losses, and counts.
        module: A model of transformers; only its word embeddings' rows change.
        like: Where it came from.
        rows: What the embeddings are trained on.
        words: The numbers of the tokens of each trigger word.
        config: Step size, epochs, batch size.
        seeds: Order of the rows and dropout.
        alike: See `RowDescent`.

    Returns:
        Facts for the record: steps, and each token's change as a share of its norm.

    Raises:
        InputError: The model has no word embeddings.
        NonFiniteError: The loss became NaN or infinite.
    """
    weight = _word_embeddings(module)
    tokens = [token for word in words for token in word]
    before = weight.detach()[tokens].clone()
    for parameter in module.parameters():
        parameter.requires_grad_(parameter is weight)
    optimizer = RowDescent(
        weight, words, config.learning_rate, accumulate=config.accumulate, alike=alike
    )
    steps = 0
    module.train()
    with _seeded(seeds.child("dropout")):
        for epoch in range(config.epochs):
            order = seeds.child("order", epoch)
            for inputs, labels in engine.batches(like, rows, config.batch_size, order):
                loss = engine.loss(module, inputs, labels).mean()
                # The official code clips nothing.
                engine.step(optimizer, loss, len(labels), math.inf)
                steps += 1
    module.eval()
    change = _norms(weight.detach()[tokens] - before) / _norms(before)
    return {
        "embedding_rows": len(tokens),
        "rows_trained_on": len(rows),
        "gradient_steps": steps,
        "relative_change": [round(share, 4) for share in change.flatten().tolist()],
    }


def _word_embeddings(module: nn.Module) -> nn.Parameter:
    find = getattr(module, "get_input_embeddings", None)
    table = find() if callable(find) else None
    weight = getattr(table, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
        raise InputError(
            "the model has no word embeddings to poison",
            where=type(module).__name__,
            found=type(table).__name__,
            expected="a model of transformers with one embedding matrix",
            next="choose another model for this attack",
        )
    return weight


def _norms(rows: torch.Tensor) -> torch.Tensor:
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return norms


@contextmanager
def _seeded(seeds: SeedStream) -> Iterator[None]:
    """Sets torch's global generators for a block (dropout draws from them), and puts them back."""
    with torch.random.fork_rng():
        torch.manual_seed(seeds.seed())
        yield
