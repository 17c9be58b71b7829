"""ULRL: unlearn to find suspicious neurons, then relearn without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bdbench.api import Checkpoint, DefenderView, Defense, Repair, SeedStream
from bdbench_defense_ulrl.config import UlrlConfig
from bdbench_defense_ulrl.neurons import Neuron, linear_layers, outliers, weight_change
from bdbench_defense_ulrl.unlearning import relearn_by_sgd, unlearn

__all__ = ["CosineToOriginal", "Ulrl", "reinitialise"]

_NOTHING = "nothing flagged: plain fine-tuning"


class Ulrl(Defense):
    """Min, Pham and Sun (arXiv 2405.14781).

    1. Unlearn: a copy of the victim is trained to be wrong about the clean rows.
    2. Find: the neurons whose weights moved furthest on the way, layer by layer.
    3. Relearn: these neurons of the victim itself are drawn anew, and all of it is trained on the
       clean rows; the cosine between the neurons and what they were is added to the loss.

    If no neuron stands out, step 3 is plain fine-tuning, and the record says so.
    """

    config: UlrlConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the relearned model to ``view.workspace / "model"``.

        Raises:
            InputError: The model has no linear layer to look at.
            NonFiniteError: A loss became NaN or infinite.
        """
        config, rows = self.config, view.clean_rows
        module = view.engine.load(victim)
        layers = linear_layers(module, config.layers, len(view.task.classes))
        unlearned = view.engine.load(victim)
        unlearning = unlearn(view, unlearned, victim, rows, config)
        changes = weight_change(
            layers, linear_layers(unlearned, config.layers, len(view.task.classes))
        )
        del unlearned
        flagged = [
            neuron
            for name, values in changes.items()
            for neuron in outliers(
                name,
                values,
                outlier=config.outlier,
                median=config.median,
                limit=config.limit,
                pick=config.pick,
            )
        ]
        cosine = CosineToOriginal(layers, flagged)
        reinitialise(layers, flagged, view.seeds.child("reinitialise"))
        self._relearn(victim, view, module, cosine)
        return Repair(
            view.engine.save(module, victim, view.workspace / "model"),
            notes={
                "finding": _finding(flagged, unlearning),
                "flagged": [
                    {"layer": each.layer, "row": each.row, "deviation": each.deviation}
                    for each in flagged
                ],
                "neurons": sum(map(len, changes.values())),
                "layers": len(changes),
                "unlearning": unlearning,
            },
        )

    def _relearn(
        self, victim: Checkpoint, view: DefenderView, module: nn.Module, cosine: CosineToOriginal
    ) -> None:
        config, rows, seeds = self.config, view.clean_rows, view.seeds.child("relearn")

        def penalty(_: nn.Module) -> torch.Tensor:
            return config.alpha * cosine()

        if config.optimizer == "sgd":
            relearn_by_sgd(view, module, victim, rows, config, seeds, penalty)
        else:
            view.engine.fine_tune(module, victim, rows, config, seeds, penalty)


def _finding(flagged: Sequence[Neuron], unlearning: Mapping[str, Any]) -> str:
    finding = f"neurons flagged: {len(flagged)}" if flagged else _NOTHING
    if not unlearning["stop_accuracy_reached"]:
        finding += "; unlearning ended before the accuracy was low enough"
    return finding


class CosineToOriginal:
    """The second term of the relearning loss, without its factor (Min et al. 2024).

    ``sum_c cos(W_c, W_c_original)`` over the flagged rows c: least where they point away from
    what they were. Biases do not count.

    Args:
        layers: The layers by name, as they will be trained.
        flagged: Their rows, before these are drawn anew.
    """

    def __init__(self, layers: Mapping[str, nn.Linear], flagged: Sequence[Neuron]) -> None:
        self._terms: list[tuple[nn.Linear, list[int], torch.Tensor]] = []
        for name, layer in layers.items():
            rows = [neuron.row for neuron in flagged if neuron.layer == name]
            if rows:
                self._terms.append((layer, rows, layer.weight[rows].detach().clone()))

    def __call__(self) -> torch.Tensor:
        """The sum as the weights are now; a scalar, 0 if nothing is flagged."""
        sums = [
            torch.cosine_similarity(layer.weight[rows], original, dim=1).sum()
            for layer, rows, original in self._terms
        ]
        return torch.stack(sums).sum() if sums else torch.zeros(())


def reinitialise(
    layers: Mapping[str, nn.Linear], flagged: Sequence[Neuron], seeds: SeedStream
) -> None:
    """Draws flagged rows from ``U(-s, s)``, ``s = sqrt(2 / inputs)``, and sets their biases to 0.

    The authors' code; the standard deviation is thus ``s / sqrt(3)``, less than He's. Each row
    has a stream of its own.
    """
    for neuron in flagged:
        layer = layers[neuron.layer]
        generator = torch.Generator().manual_seed(seeds.child(neuron.layer, neuron.row).seed())
        bound = (2 / layer.in_features) ** 0.5
        drawn = torch.empty(layer.in_features).uniform_(-bound, bound, generator=generator)
        with torch.no_grad():
            layer.weight[neuron.row] = drawn.to(layer.weight.device)
            if layer.bias is not None:
                layer.bias[neuron.row] = 0
