"""Stage ``poison``: the attack makes a poisoned training set and, mostly, the triggered rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Examples, PoisonConfig, Poisoning, Surface
from bdbench.engine.attacking import attacker_view, build_attack
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.rows import write_examples
from bdbench.engine.triggering import broken_claim, same_row, show_triggers

__all__ = ["make_poison"]


def make_poison(stage: Stage) -> StageResult:
    """Poisons the training rows, triggers the test rows, and holds the attack to its claims.

    Leaves ``train.parquet`` (what the victim is trained on), ``mask.parquet`` (which rows were
    poisoned; no defender sees it) and what `show_triggers` writes, unless the attack has to
    probe the victim first.
    """
    attack, spec = build_attack(stage)
    label = stage.settings["attack"]["label"]
    config, target = attack.config, attack.target(stage.task)
    clean = stage.rows("data", "train")
    train, mask, notes = clean, [False] * len(clean), {}
    if Surface.DATA in spec.surfaces:
        poisoning: Poisoning = attack.poison(attacker_view(stage), stage.seeds.child("train"))
        train, mask = poisoning.train, [bool(marked) for marked in poisoning.mask]
        notes = dict(poisoning.notes)
        _check_poisoning(label, clean, train, mask, config)
    write_examples(train, stage.folder / "train.parquet")
    pq.write_table(pa.table({"id": train.ids, "poisoned": mask}), stage.folder / "mask.parquet")
    notes |= {"poisoned_rows": sum(mask), "poison_rate": round(sum(mask) / len(train), 6)}
    if not spec.probes_victim:
        notes |= show_triggers(stage, attack, spec)
    return StageResult(notes=notes, values={"target": target})


def _check_poisoning(
    label: str, clean: Examples, train: Examples, mask: list[bool], config: Any
) -> None:
    ids = list(train.ids)
    if len(mask) != len(train) or ids[: len(clean)] != list(clean.ids):
        raise broken_claim(label, "the poisoned rows are not the clean ones in their order")
    if len(set(ids)) < len(ids):
        raise broken_claim(label, "two rows have the same id")
    for row, poisoned in enumerate(mask):
        if not poisoned and not (row < len(clean) and same_row(clean, train, row)):
            raise broken_claim(label, f"row {train.ids[row]} was changed, but is not marked")
    if not isinstance(config, PoisonConfig):
        return
    if config.clean_label and any(
        poisoned and (row >= len(clean) or train.labels[row] != clean.labels[row])
        for row, poisoned in enumerate(mask)
    ):
        raise broken_claim(label, "a label was changed under clean_label: true")
    # An attack may round to the nearest row, not beyond.
    if sum(mask) > config.poison_rate * len(clean) + 0.5:
        raise broken_claim(
            label, f"{sum(mask)} of {len(clean)} rows were poisoned at rate {config.poison_rate}"
        )
