"""Where a model has feed-forward neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile

import torch
from torch import nn

from bdbench.api import InputError

__all__ = ["FeedForward", "feed_forward_blocks"]

# How deep in a layer the two halves of a block stand at most: `intermediate.dense`.
_DEPTH = 2


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Two linear layers with neurons between them.

    Neuron i is row i of `up`, an activation, and column i of `down`.

    Attributes:
        name: Of `down` within the model.
        up: Computes the neurons' inputs.
        down: Reads the neurons.
    """

    name: str
    up: nn.Linear
    down: nn.Linear

    def remove(self, neurons: torch.Tensor) -> None:
        """Sets the rows, biases and columns of these neurons to zero."""
        with torch.no_grad():
            self.down.weight[:, neurons] = 0
            self.up.weight[neurons] = 0
            if self.up.bias is not None:
                self.up.bias[neurons] = 0


def feed_forward_blocks(module: nn.Module) -> list[FeedForward]:
    """The feed-forward blocks of a transformer, first layer first; else those of a plain MLP.

    They are told by structure, not by a list of architectures. In a transformer, a block is two
    linear layers, one defined right after the other in the same part of the model, of which the
    first widens and the second narrows again to the same width; or, of whatever width, what BERT
    and its kin call ``intermediate.dense`` and the layer after it. In an MLP, it is two linear
    layers of one `torch.nn.Sequential`, or of the model itself, with only parameterless modules
    between them.

    Raises:
        InputError: There are none; it names the class of the model.
    """
    linears = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    blocks = [
        FeedForward(name, up, down)
        for (before, up), (name, down) in pairwise(linears)
        if up.out_features == down.in_features
        and up.in_features == down.out_features
        and (up.out_features > up.in_features or before.endswith("intermediate.dense"))
        and _near(before, name)
    ]
    blocks = blocks or list(_chained(module))
    if not blocks:
        raise InputError(
            "the model has no feed-forward neurons that can be told by its structure",
            where="fine-pruning",
            found=f"{type(module).__name__} with {len(linears)} linear layers",
            expected="two linear layers that widen and narrow again, or a plain MLP",
            next="use another defense for this model, for instance magnitude-pruning",
        )
    return blocks


def _near(one: str, other: str) -> bool:
    """Whether both are parts, or parts of parts, of one thing, as BERT's are of its layer.

    MobileBERT's layers end by widening and begin by narrowing, with attention between.
    """
    names = one.split("."), other.split(".")
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*names, strict=False)))
    return all(len(name) - shared <= _DEPTH for name in names)


def _chained(module: nn.Module) -> Iterator[FeedForward]:
    for prefix, parent in module.named_modules():
        if parent is not module and not isinstance(parent, nn.Sequential):
            continue
        before: nn.Linear | None = None
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                if before is not None and before.out_features == child.in_features:
                    yield FeedForward(f"{prefix}.{name}" if prefix else name, before, child)
                before = child
            elif next(child.parameters(), None) is not None:
                before = None
