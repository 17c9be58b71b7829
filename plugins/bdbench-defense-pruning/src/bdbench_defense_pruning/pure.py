"""PURE: without the attention heads of low variance, then fine-tuned with flatter attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bdbench.api import Checkpoint, DefenderView, Defense, Examples, Repair, Selection
from bdbench_defense_pruning.attention import (
    AttentionLayer,
    AttentionMaps,
    attention_layers,
    eager_attention,
)
from bdbench_defense_pruning.clean_rows import accuracy, halves
from bdbench_defense_pruning.config import PureConfig
from bdbench_defense_pruning.gates import Gates
from bdbench_defense_pruning.head_choice import Head, heads_to_prune
from bdbench_defense_pruning.head_scores import attention_norm, cls_variance, layer_coefficients

__all__ = ["Pure"]

_BATCH = 64


class Pure(Defense):
    """Zhao, Xu and Yuan (ICML 2024), for a victim in the place of a poisoned encoder.

    1. A copy of the victim is fine-tuned on one half of the clean rows.
    2. Heads whose [CLS] row varies least on the other half are pruned from the copy, as long as
       its accuracy on that half allows.
    3. The same heads are pruned from the victim itself, which is then fine-tuned on all clean
       rows; the attention of [CLS] in the heads that are left is part of the loss.

    The paper starts from an encoder and the full training set of a task, with a fresh head in
    both trainings. Here the victim's own head is kept, as a few rows cannot train one.
    """

    config: PureConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the repaired model to ``view.workspace / "model"``.

        Raises:
            InputError: The model has no attention heads, or does not show what they attend to.
        """
        config, rows = self.config, view.clean_rows
        chosen, coefficients, notes = self._choose(victim, view)
        module = view.engine.load(victim)
        layers = attention_layers(module)
        pruned = _by_layer(chosen, layers)
        kept = [
            [head for head in range(layer.heads) if head not in gone]
            for layer, gone in zip(layers, pruned, strict=True)
        ]
        with (
            eager_attention(module),
            Gates([layer.output for layer in layers]) as gates,
            AttentionMaps(layers) as maps,
        ):
            _close(gates, layers, pruned)

            def normalisation(_: torch.nn.Module) -> torch.Tensor:
                return config.penalty * attention_norm(maps.take(), kept, coefficients)

            view.engine.fine_tune(
                module,
                victim,
                rows,
                config,
                view.seeds.child("fine-tune"),
                penalty=normalisation,
            )
        for layer, heads in zip(layers, pruned, strict=True):
            layer.remove(heads)
        selection = Selection(notes.pop("selection"))
        return Repair(
            view.engine.save(module, victim, view.workspace / "model"),
            notes={
                **notes,
                "heads": sum(layer.heads for layer in layers),
                "heads_pruned": len(chosen),
                "pruned": {
                    layer.name: heads for layer, heads in zip(layers, pruned, strict=True) if heads
                },
                "layer_coefficients": coefficients,
                "rows_fine_tuned_on": len(rows),
            },
            selection=selection,
        )

    def _choose(
        self, victim: Checkpoint, view: DefenderView
    ) -> tuple[set[Head], list[float], dict[str, Any]]:
        """The heads to prune, the layers' coefficients, and notes."""
        config = self.config
        tuned_on, held_out = halves(view.clean_rows, view.seeds.child("halves"))
        module = view.engine.load(victim)
        layers = attention_layers(module)
        view.engine.fine_tune(module, victim, tuned_on, config, view.seeds.child("score"))
        with eager_attention(module), Gates([layer.output for layer in layers]) as gates:

            def measure(heads: set[Head]) -> float:
                _close(gates, layers, _by_layer(heads, layers))
                return accuracy(view, module, victim, held_out)

            unpruned = measure(set())
            least = config.least_accuracy
            if config.tolerance is not None:
                least = unpruned - config.tolerance
            chosen: set[Head] = set()
            if unpruned >= least:
                scores = self._scores(view, module, victim, held_out, layers)
                chosen = heads_to_prune(scores, measure, group=config.group, least=least)
            notes = {
                "selection": "clean_val",
                "least_accuracy": least,
                "accuracy_unpruned": unpruned,
                "accuracy_pruned": measure(chosen),
            }
            if unpruned < least:
                notes["finding"] = (
                    "no head pruned: the accuracy on the held-out clean rows is below "
                    "`least_accuracy` before any is; set `tolerance` instead"
                )
            left = self._scores(view, module, victim, held_out, layers)
        return chosen, layer_coefficients(left, _by_layer(chosen, layers)), notes

    def _scores(
        self,
        view: DefenderView,
        module: torch.nn.Module,
        like: Checkpoint,
        rows: Examples,
        layers: Sequence[AttentionLayer],
    ) -> list[list[float]]:
        """The variance of the [CLS] row of each head of each layer, as a mean over the rows."""
        totals = [torch.zeros(layer.heads, dtype=torch.float64) for layer in layers]
        module.eval()
        order = view.seeds.child("variance")
        with torch.no_grad(), AttentionMaps(layers) as maps:
            for inputs, labels in view.engine.batches(like, rows, _BATCH, order):
                view.engine.loss(module, inputs, labels)
                for total, weights in zip(totals, maps.take(), strict=True):
                    total.add_(cls_variance(weights, self.config.row_length).sum(dim=0).cpu())
        return [(total / len(rows)).tolist() for total in totals]


def _by_layer(heads: set[Head], layers: Sequence[AttentionLayer]) -> list[list[int]]:
    return [sorted(head for at, head in heads if at == number) for number in range(len(layers))]


def _close(gates: Gates, layers: Sequence[AttentionLayer], heads: Sequence[Sequence[int]]) -> None:
    gates.close([layer.features(some) for layer, some in zip(layers, heads, strict=True)])
