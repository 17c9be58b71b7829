"""The attention heads of a model, and what they attend to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from bdbench.api import InputError

__all__ = ["AttentionLayer", "AttentionMaps", "attention_layers", "eager_attention"]


@dataclass(frozen=True, slots=True)
class AttentionLayer:
    """Self-attention of several heads.

    Attributes:
        name: Of `attention` within the model.
        attention: Returns (anything, attention weights [n, heads, tokens, tokens]).
        heads: How many.
        projections: Query, key and value; head h is rows ``h * size`` to ``(h + 1) * size``.
        output: Reads the heads side by side, so that head h is its columns of the same numbers.
    """

    name: str
    attention: nn.Module
    heads: int
    projections: tuple[nn.Linear, ...]
    output: nn.Linear

    def features(self, heads: Sequence[int]) -> torch.Tensor:
        """The input features of `output` that these heads are, as numbers."""
        size = self.output.in_features // self.heads
        numbers = torch.arange(self.output.in_features).reshape(self.heads, size)
        return numbers[list(heads)].flatten().to(self.output.weight.device)

    def remove(self, heads: Sequence[int]) -> None:
        """Sets all weights of these heads to zero, so that no later training revives them."""
        features = self.features(heads)
        with torch.no_grad():
            self.output.weight[:, features] = 0
            for projection in self.projections:
                projection.weight[features] = 0
                if projection.bias is not None:
                    projection.bias[features] = 0


def attention_layers(module: nn.Module) -> list[AttentionLayer]:
    """The self-attention layers of BERT and its kin, or of DistilBERT, first layer first.

    Known by what their parts are called: ``query``, ``key``, ``value`` beside an ``output.dense``
    (BERT, RoBERTa, XLM-R, ELECTRA, ...), or ``q_lin``, ``k_lin``, ``v_lin``, ``out_lin``. Layers
    whose output reads more than the heads, such as ConvBERT's, are none, and neither are those
    that do not say how many heads they have, such as Longformer's.

    Raises:
        InputError: There are none; it names the class of the model.
    """
    parts = dict(module.named_modules())
    layers = []
    for name, part in parts.items():
        parent = name.rpartition(".")[0]
        for inputs, output, count in (
            (("query", "key", "value"), f"{parent}.output.dense", "num_attention_heads"),
            (("q_lin", "k_lin", "v_lin"), f"{name}.out_lin", "n_heads"),
        ):
            linears = [parts.get(f"{name}.{each}") for each in inputs]
            after = parts.get(output.removeprefix("."))
            found = [part for part in linears if isinstance(part, nn.Linear)]
            heads = getattr(part, count, None)
            if (
                isinstance(after, nn.Linear)
                and isinstance(heads, int)
                and len(found) == len(inputs)
                and all(part.out_features == after.in_features for part in found)
            ):
                layers.append(AttentionLayer(name, part, heads, tuple(found), after))
    if not layers:
        raise InputError(
            "the model has no attention heads that can be told by the names of its parts",
            where="pure",
            found=type(module).__name__,
            expected="an encoder of the BERT family, or DistilBERT",
            next="use another defense for this model, for instance fine-pruning",
        )
    return layers


@contextmanager
def eager_attention(module: nn.Module) -> Iterator[None]:
    """Lets a model of transformers compute attention step by step, so that its weights are seen.

    The faster implementations never hold them. Put back afterwards. Any other model is left
    alone.
    """
    set_implementation = getattr(module, "set_attn_implementation", None)
    if set_implementation is None:
        yield
        return
    before = module.config._attn_implementation  # type: ignore[union-attr]  # noqa: SLF001 -- it has no public name
    set_implementation("eager")
    try:
        yield
    finally:
        set_implementation(before)


class AttentionMaps:
    """Keeps what attention layers attended to in the latest forward pass, while it is entered."""

    def __init__(self, layers: Sequence[AttentionLayer]) -> None:
        self._layers = layers
        self._maps: dict[str, torch.Tensor] = {}
        self._handles: list[Any] = []

    def take(self) -> list[torch.Tensor]:
        """The attention weights of each layer, shape [n, heads, tokens, tokens], in fp32.

        With their gradient, if the pass had one. They can be taken once: nothing is kept that
        holds on to a whole computation.

        Raises:
            InputError: A layer did not give any.
        """
        silent = [layer.name for layer in self._layers if layer.name not in self._maps]
        if silent:
            raise InputError(
                "the model does not tell what its attention heads attend to",
                where="pure",
                found=f"no attention weights from {silent[0]}",
                expected="attention weights as the second output of every attention layer",
                next="use another defense for this model, for instance fine-pruning",
            )
        maps = [self._maps.pop(layer.name) for layer in self._layers]
        return [weights.float() for weights in maps]

    def __enter__(self) -> Self:
        for layer in self._layers:
            self._handles.append(layer.attention.register_forward_hook(self._keeper(layer.name)))
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
        self._maps.clear()

    def _keeper(self, name: str) -> Any:
        def hook(_: nn.Module, __: Any, outputs: Any) -> None:
            weights = outputs[1] if isinstance(outputs, tuple) and len(outputs) > 1 else None
            if isinstance(weights, torch.Tensor) and weights.ndim == 4:
                self._maps[name] = weights

        return hook
