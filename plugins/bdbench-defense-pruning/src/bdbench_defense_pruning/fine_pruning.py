"""Fine-Pruning: without the neurons that clean rows leave idle, then fine-tuned."""

from __future__ import annotations

from bdbench.api import Checkpoint, DefenderView, Defense, Repair, Selection
from bdbench_defense_pruning.activity import mean_activity
from bdbench_defense_pruning.amount import settle_amount
from bdbench_defense_pruning.blocks import feed_forward_blocks
from bdbench_defense_pruning.clean_rows import accuracy, halves
from bdbench_defense_pruning.config import FinePruningConfig
from bdbench_defense_pruning.gates import Gates

__all__ = ["FinePruning"]


class FinePruning(Defense):
    """Liu, Dolan-Gavitt and Garg (RAID 2018), on the feed-forward neurons of a transformer.

    A backdoor is thought to live in neurons that clean inputs do not use. So the neurons that
    are least active on clean rows go first, the same share of each pruned layer, and fine-tuning
    on the clean rows changes those that are left. A pruned neuron stays pruned.

    The paper prunes the last convolution layer, through which all that a CNN knows must pass.
    The last block of a transformer is no such place: whatever earlier blocks wrote goes past it,
    and it can be emptied without a change on clean rows. So all blocks are pruned by default.
    """

    config: FinePruningConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the pruned and fine-tuned model to ``view.workspace / "model"``.

        With ``amount: auto``, one half of the clean rows ranks the neurons and the other decides
        on the amount; else all rank. All are fine-tuned on.

        Raises:
            InputError: The model has no feed-forward neurons.
        """
        config, rows = self.config, view.clean_rows
        module = view.engine.load(victim)
        blocks = feed_forward_blocks(module)
        if config.layers == "last":
            blocks = blocks[-1:]
        ranked_by, held_out = rows, rows
        if config.amount == "auto":
            ranked_by, held_out = halves(rows, view.seeds.child("halves"))
        activity = mean_activity(view, module, victim, ranked_by, blocks)
        idle_first = [values.argsort(stable=True) for values in activity]
        pruned = [order[:0] for order in idle_first]

        with Gates([block.down for block in blocks]) as gates:

            def prune(amount: float) -> None:
                pruned[:] = [order[: round(amount * len(order))] for order in idle_first]
                gates.close(pruned)

            notes = settle_amount(config, prune, lambda: accuracy(view, module, victim, held_out))
            if config.fine_tune:
                view.engine.fine_tune(module, victim, rows, config, view.seeds.child("fine-tune"))
        for block, neurons in zip(blocks, pruned, strict=True):
            block.remove(neurons)
        selection = Selection(notes.pop("selection"))
        return Repair(
            view.engine.save(module, victim, view.workspace / "model"),
            notes={
                **notes,
                "layers": [block.name for block in blocks],
                "neurons": sum(map(len, idle_first)),
                "neurons_pruned": sum(map(len, pruned)),
                "rows_ranked_by": len(ranked_by),
                "rows_fine_tuned_on": len(rows) if config.fine_tune else 0,
            },
            selection=selection,
        )
