"""Fine-mixing (Zhang et al. 2022)."""

from __future__ import annotations

from typing import Any

from bdbench.api import Checkpoint, DefenderView, Examples
from bdbench_defense_finemixing.body import Body
from bdbench_defense_finemixing.config import FineMixingConfig
from bdbench_defense_finemixing.mixing import MixingDefense
from bdbench_defense_finemixing.selections import AtRandom, LeastChanged, MostChanged, Selection

__all__ = ["FineMixing"]


class FineMixing(MixingDefense):
    """``w = m * victim + (1 - m) * base``, m drawn for each number of the body, then tuning."""

    config: FineMixingConfig
    name = "fine-mixing"

    def selection(
        self,
        victim: Checkpoint,  # noqa: ARG002
        body: Body,  # noqa: ARG002
        rows: Examples,  # noqa: ARG002
        view: DefenderView,
    ) -> tuple[Selection, dict[str, Any]]:
        """At random with chance rho, the least changed, or the most changed."""
        if self.config.select == "random":
            return AtRandom(view.seeds.child("mask")), {}
        return LeastChanged() if self.config.select == "magnitude" else MostChanged(), {}
