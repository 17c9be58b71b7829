"""Some weights back to their pre-trained values, then fine-tuning: what two defenses share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bdbench.api import Checkpoint, DefenderView, Defense, Examples, Repair
from bdbench.api import Selection as Choice
from bdbench_defense_finemixing.body import Body, read_body
from bdbench_defense_finemixing.config import MixingConfig
from bdbench_defense_finemixing.fine_tuning import granted_rows
from bdbench_defense_finemixing.search import choose_rho, divide
from bdbench_defense_finemixing.selections import Selection

if TYPE_CHECKING:
    from bdbench.api import Engine, Recipe, SeedStream

__all__ = ["Mixer", "MixingDefense"]


@dataclass(frozen=True, slots=True)
class Mixer:
    """Makes repaired models of one victim.

    Attributes:
        victim: Stays as it is.
        body: The weights that can be put back, with their pre-trained values.
        selection: Which of them keep the victim's value.
        engine: Loads and tunes.
        recipe: How to tune.
        seeds: The order of the rows and the dropout of every tuning.
    """

    victim: Checkpoint
    body: Body
    selection: Selection
    engine: Engine
    recipe: Recipe
    seeds: SeedStream

    def mixed(self, rho: float) -> tuple[torch.nn.Module, float]:
        """The victim with the share rho of its body kept, and what share it really is.

        An element that training left alone is kept and put back at once. Those at the limit (all
        of them, where most of a victim is the base's) count as kept as far as rho goes.
        """
        module = self.engine.load(self.victim)
        limit = self.selection.limit(rho, self.body, module)
        kept = either = 0
        with torch.no_grad():
            for name, weight in self.body.weights(module):
                base = self.body.base[name]
                scores = self.selection.scores(name, weight - base)
                keep = scores < limit
                either += int(((scores == limit) & (weight == base)).sum())
                weight.copy_(torch.where(keep, weight, base))
                kept += int(keep.sum())
        kept += min(either, max(0, round(rho * self.body.size) - kept))
        return module, kept / self.body.size

    def repaired(self, rho: float, rows: Examples) -> tuple[torch.nn.Module, float]:
        """The same, fine-tuned on rows."""
        module, share = self.mixed(rho)
        self.engine.fine_tune(module, self.victim, rows, self.recipe, self.seeds)
        return module, share


class MixingDefense(Defense):
    """Mixes, with rho as set or as found on the clean rows, and fine-tunes."""

    config: MixingConfig
    name: str

    @abstractmethod
    def selection(
        self, victim: Checkpoint, body: Body, rows: Examples, view: DefenderView
    ) -> tuple[Selection, dict[str, Any]]:
        """Which weights keep the victim's value, as far as rows tell, and facts for the record."""

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the repaired model to ``view.workspace / "model"``.

        Raises:
            InputError: The base does not correspond to the victim, the head is not found, or
                there are too few clean rows.
            NonFiniteError: A model holds NaN or infinity.
        """
        config, engine = self.config, view.engine
        rows = granted_rows(view, config.least_rows, self.name)
        body = read_body(victim, view.base, config.keep, engine)
        tuning = view.seeds.child("fine-tune")

        def mixer(rows: Examples) -> tuple[Mixer, dict[str, Any]]:
            selection, notes = self.selection(victim, body, rows, view)
            return Mixer(victim, body, selection, engine, config.recipe(), tuning), notes

        found = {}
        if config.rho != "auto":
            rho = config.rho
        else:
            # The rows that validate have no part in what they judge, not even in the selection.
            fit, validation = divide(rows, config.validation_share, view.seeds.child("split"))
            rho, found["search"] = choose_rho(mixer(fit)[0], config, fit, validation)
        final, notes = mixer(rows)
        module, share = final.repaired(rho, rows)
        checkpoint = engine.save(module, victim, view.workspace / "model")
        return Repair(
            checkpoint,
            notes={
                "rho": rho,
                "rho_chosen": "on the clean rows" if config.rho == "auto" else "in the suite",
                "share_kept": share,
                "body_parameters": body.size,
                "kept_tensors": list(body.kept),
                "clean_rows": len(rows),
                **notes,
                **found,
            },
            selection=Choice.CLEAN_VAL if config.rho == "auto" else Choice.FIXED,
        )
