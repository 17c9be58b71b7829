"""Choosing rho on the defender's own clean rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bdbench.api import Checkpoint, Engine, Examples, InputError, SeedStream

if TYPE_CHECKING:
    import torch

    from bdbench_defense_finemixing.config import MixingConfig
    from bdbench_defense_finemixing.mixing import Mixer

__all__ = ["choose_rho", "divide"]


def choose_rho(
    mixer: Mixer, config: MixingConfig, fit: Examples, validation: Examples
) -> tuple[float, dict[str, Any]]:
    """The smallest rho of the grid that keeps the victim's accuracy.

    1. The victim, as it is, is measured on the validation rows.
    2. For each rho of the grid, ascending: mix, fine-tune on the fitting rows, measure on the
       validation rows. The first that is at most the tolerance below the victim ends the
       search.
    3. If none is, the one with the highest accuracy, the smallest rho of equal ones.

    Args:
        mixer: Its selection knows the fitting rows only.
        config: The grid and the tolerance.
        fit: One part of the clean rows, see `divide`.
        validation: The other.

    Returns:
        The rho, and the whole search for the record.

    Raises:
        InputError: The model does not say classes.
    """
    engine, victim = mixer.engine, mixer.victim
    before = _accuracy(engine, engine.load(victim), victim, validation)
    # Accuracies are quotients of small whole numbers: what is meant to be equal must be.
    least = before - config.tolerance - 1e-9
    tried: list[dict[str, float]] = []
    for rho in config.grid:
        module, _ = mixer.repaired(rho, fit)
        after = _accuracy(engine, module, victim, validation)
        tried.append({"rho": rho, "accuracy": after})
        if after >= least:
            break
    chosen = max(tried, key=lambda one: (one["accuracy"] >= least, one["accuracy"], -one["rho"]))
    return chosen["rho"], {
        "fit_rows": len(fit),
        "validation_rows": len(validation),
        "victim_accuracy": before,
        "tried": tried,
        "within_tolerance": chosen["accuracy"] >= least,
    }


def divide(rows: Examples, share: float, seeds: SeedStream) -> tuple[Examples, Examples]:
    """The rows in two parts with the same shares of each label: the rest, and `share` of them.

    The rows are shuffled, sorted by label, and of these every so many-th is taken.
    """
    order = list(range(len(rows)))
    seeds.random().shuffle(order)
    # By where a label first stands: labels need not be sortable.
    order.sort(key=lambda row: rows.labels.index(rows.labels[row]))
    taken = {
        row
        for place, row in enumerate(order)
        if int((place + 1) * share + 1e-9) > int(place * share + 1e-9)
    }
    rest = [row for row in range(len(rows)) if row not in taken]
    return rows.select(rest), rows.select(sorted(taken))


def _accuracy(engine: Engine, module: torch.nn.Module, like: Checkpoint, rows: Examples) -> float:
    outputs = engine.predict(module, like, rows)
    if "prediction" not in outputs:
        raise InputError(
            "rho cannot be chosen: the model does not say classes",
            where="rho: auto",
            found=f"the outputs {sorted(outputs)}",
            expected="`prediction` among them",
            next="set rho to a number",
        )
    return float(np.mean(outputs["prediction"] == np.asarray(rows.labels)))
