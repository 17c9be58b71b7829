"""Stage ``poison``: the attack makes a poisoned training set and, mostly, the triggered rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bdbench.api import Examples, PoisonConfig, Surface
from bdbench.engine.attacker import attacker, broken_claim
from bdbench.engine.context import Stage, StageResult
from bdbench.engine.rows import write_examples
from bdbench.engine.triggering import same_row, show_triggers

__all__ = ["make_poison"]


def make_poison(stage: Stage) -> StageResult:
    """Poisons the training rows, triggers the test rows, and holds the attack to its claims.

    Leaves ``train.parquet`` (what the victim is trained on), ``mask.parquet`` (which rows were
    poisoned; no defender sees it) and what `show_triggers` writes, unless the attack has to
    probe the victim first.
    """
    part = stage.settings["attack"]
    clean = stage.rows("data", "train")
    train, mask = clean, [False] * len(clean)
    notes: dict[str, Any] = {}
    with attacker(stage) as attack:
        if Surface.DATA in attack.spec.surfaces:
            poisoning = attack.poison(stage.seeds.child("train"))
            train, mask, notes = poisoning.train, list(poisoning.mask), dict(poisoning.notes)
            _check_poisoning(attack.label, clean, train, mask, stage.configured(part))
        write_examples(train, stage.folder / "train.parquet")
        pq.write_table(pa.table({"id": train.ids, "poisoned": mask}), stage.folder / "mask.parquet")
        notes |= {"poisoned_rows": sum(mask), "poison_rate": round(sum(mask) / len(train), 6)}
        # Only now, when it can poison no more, is the attack shown a test row.
        if not attack.spec.probes_victim:
            notes |= show_triggers(stage, attack)
        return StageResult(notes=notes, values={"target": attack.target})


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
