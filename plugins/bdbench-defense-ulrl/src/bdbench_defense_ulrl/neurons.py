"""Neurons of linear layers: how far they moved, and which moved suspiciously far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from bdbench.api import InputError

__all__ = ["Neuron", "linear_layers", "outliers", "weight_change"]

# Makes the median absolute deviation of normal data estimate their standard deviation.
_NORMAL = 1.4826


@dataclass(frozen=True, slots=True)
class Neuron:
    """A row of a linear layer's weights that was flagged.

    Attributes:
        layer: The layer's name within the model.
        row: The row's number.
        deviation: How far above the layer's median it moved, in (scaled) MADs; None where the
            MAD is 0.
    """

    layer: str
    row: int
    deviation: float | None


def linear_layers(
    module: nn.Module, which: Literal["all", "last"], classes: int
) -> dict[str, nn.Linear]:
    """The linear layers whose rows are looked at, by name.

    Args:
        module: The model.
        which: All, or only the last: the last in the model with one row for each class.
        classes: How many classes the task has.

    Raises:
        InputError: There is none; it names the class of the model.
    """
    found = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    if which == "last":
        heads = [name for name, layer in found.items() if layer.out_features == classes]
        found = {name: found[name] for name in heads[-1:]}
    if not found:
        raise InputError(
            "the model has no linear layer to look at",
            where="ulrl",
            found=type(module).__name__,
            expected=f"a linear layer with {classes} rows, one for each class"
            if which == "last"
            else "at least one linear layer",
            next="set `layers: all`" if which == "last" else "use another defense for this model",
        )
    return found


def weight_change(
    before: Mapping[str, nn.Linear], after: Mapping[str, nn.Linear]
) -> dict[str, torch.Tensor]:
    """The neuron weight change: ``sum_j |W_after[c, j] - W_before[c, j]|`` of each row c.

    Biases do not count (Min et al. 2024; their code).

    Returns:
        A tensor of shape [rows] for each layer, in fp64.
    """
    return {
        name: (after[name].weight - layer.weight).detach().double().abs().sum(dim=1).cpu()
        for name, layer in before.items()
    }


def outliers(
    layer: str,
    changes: torch.Tensor,
    *,
    outlier: float,
    median: Literal["middle", "lower"],
    limit: int,
    pick: Literal["largest", "first"],
) -> list[Neuron]:
    """The rows of a layer that moved further than its others (Min et al. 2024).

    With m the median of the changes and MAD the median of ``|change - m|``, row c is one if::

        change[c] - m > outlier * 1.4826 * MAD

    Only upwards: the authors' code asks for ``|z| > outlier`` and a change above the median.

    Two rows are never flagged with ``median: middle`` and an `outlier` of 0.68 or more. With
    changes a <= b, ``m = (a + b) / 2``, both are ``(b - a) / 2`` away from it, so this is the MAD,
    too, and the deviation of b is ``1 / 1.4826 = 0.67`` MADs whatever a and b are. With
    ``median: lower`` (what `torch.median` gives, and the authors' code), m is a, the MAD is the
    lower of 0 and b - a, that is 0, and b is always flagged, were it larger by a rounding error.
    Under a softmax, the gradients of the two rows are exact opposites, so that nothing but
    weight decay and rounding tells a from b.

    Args:
        layer: Its name, for the result.
        changes: Shape [rows].
        outlier: See above.
        median: See above.
        limit: At most so many rows.
        pick: Which of more: those that moved most, or the first by number.

    Returns:
        The rows, in the order in which they are picked.
    """
    middle = _median(changes, median)
    deviations = changes - middle
    scale = _NORMAL * _median(deviations.abs(), median)
    rows = [int(row) for row in (deviations > outlier * scale).nonzero().flatten()]
    if pick == "largest":
        rows.sort(key=lambda row: -float(changes[row]))
    return [
        Neuron(layer, row, float(deviations[row] / scale) if scale > 0 else None)
        for row in rows[:limit]
    ]


def _median(values: torch.Tensor, kind: Literal["middle", "lower"]) -> torch.Tensor:
    if kind == "lower":
        return values.median()
    return values.quantile(0.5)
