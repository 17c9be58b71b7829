"""The formulas of PURE: variance of a head, coefficient of a layer, norm of the attention."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

__all__ = ["attention_norm", "cls_variance", "layer_coefficients"]


def cls_variance(weights: torch.Tensor, row_length: int) -> torch.Tensor:
    """The variance of what the first token attends to, as the authors' code takes it.

    Their texts are all padded to `row_length` tokens. With ``m = row_length - 1`` and a_j the
    attention of the first token to token j, 0 for padding, it is the unbiased variance of
    a_1 ... a_m::

        (sum a_j^2 - (sum a_j)^2 / m) / (m - 1)

    Computed from the sums, so that it does not depend on how a batch is padded here. Of longer
    rows the first m entries are taken.

    Args:
        weights: Attention weights, shape [n, heads, tokens, tokens].
        row_length: As above.

    Returns:
        Shape [n, heads], in fp64.
    """
    entries = row_length - 1
    row = weights[:, :, 0, :entries].double()
    return (row.square().sum(dim=-1) - row.sum(dim=-1).square() / entries) / (entries - 1)


def layer_coefficients(
    scores: Sequence[Sequence[float]], pruned: Sequence[Collection[int]]
) -> list[float]:
    """How much the attention of each layer is normalised: most where it varies least.

    With v_l the mean variance of the heads that are left in layer l: ``softmax(-log v_l)`` over
    the layers, then brought to 0 ... 1 by the least and the greatest (Zhao et al.'s code). 1 for
    each where all layers are alike, which the code would divide by zero for.

    Args:
        scores: The variance of each head of each layer.
        pruned: The heads of each layer that do not count.
    """
    means = []
    for variances, gone in zip(scores, pruned, strict=True):
        left = [value for head, value in enumerate(variances) if head not in gone]
        means.append(sum(left) / len(left))
    shares = torch.tensor(means, dtype=torch.float64).log().neg().softmax(dim=0)
    spread = shares.max() - shares.min()
    if spread == 0:
        return [1.0] * len(means)
    return ((shares - shares.min()) / spread).tolist()


def attention_norm(
    maps: Sequence[torch.Tensor], kept: Sequence[Sequence[int]], coefficients: Sequence[float]
) -> torch.Tensor:
    """The attention normalisation, the second term of the loss of Zhao et al. (2024), eq. 3.

    ``sum_l c_l * sum_h sqrt(sum_n sum_j a[l, h, n, j]^2)``, where a is what the first token of
    text n attends to in a head that is left; the root is over the texts of the whole batch.

    Args:
        maps: The attention weights of each layer, shape [n, heads, tokens, tokens].
        kept: The heads of each layer that are left.
        coefficients: c_l.

    Returns:
        A scalar.
    """
    terms = [
        coefficient * torch.linalg.vector_norm(weights[:, list(heads), 0, :], dim=(0, 2)).sum()
        for weights, heads, coefficient in zip(maps, kept, coefficients, strict=True)
    ]
    return torch.stack(terms).sum()
