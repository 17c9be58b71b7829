"""Switching inputs of linear layers off without touching a weight."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

__all__ = ["Gates"]


class Gates:
    """Lets only some input features of linear layers through, for as long as it is entered.

    The same as zero columns in their weights, but it can be undone, and what is switched off
    stays so while the model is trained.

    Args:
        layers: The layers whose inputs are switched.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._layers = layers
        self._open = [torch.ones(layer.in_features, device=layer.weight.device) for layer in layers]
        self._handles: list[Any] = []

    def close(self, closed: Sequence[torch.Tensor]) -> None:
        """Switches these features of each layer off and all others on.

        Args:
            closed: For each layer the numbers of its features.
        """
        for gate, features in zip(self._open, closed, strict=True):
            gate.fill_(1)
            gate[features] = 0

    def __enter__(self) -> Self:
        for layer, gate in zip(self._layers, self._open, strict=True):
            self._handles.append(layer.register_forward_pre_hook(_switch(gate)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _switch(gate: torch.Tensor) -> Any:
    def hook(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (inputs[0] * gate.to(inputs[0].dtype),)

    return hook
