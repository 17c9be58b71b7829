"""Which cells cannot run, and why."""

from __future__ import annotations

from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite, needs_of, task_of
from bdbench.suite.schema import Suite

__all__ = ["obstacle"]


def obstacle(
    resolved: ResolvedSuite, dataset: Part, model: Part, attack: Part, defense: ResolvedDefense
) -> str:
    """What keeps a cell from running, in words; empty if nothing does."""
    task = task_of(dataset)
    for part in (model, attack, *defense.parts, *resolved.metrics):
        spec = part.component.spec
        if task and not spec.works_for(task):
            works = ", ".join(sorted(spec.tasks))
            return f"{part.label} works for {works}, {dataset.label} is {task}"
    return _lacking(resolved, defense, attack)


def _lacking(resolved: ResolvedSuite, defense: ResolvedDefense, attack: Part) -> str:
    needs, granted = defense.needs, resolved.suite.defender
    if needs.access > granted.access_level:
        return (
            f"needs access to {needs.access.name.lower()}, the suite grants {granted.access} "
            "(defender.access)"
        )
    if lacking := _lacking_rows(resolved.suite, defense):
        return lacking
    references = len(resolved.references_for(attack)) if needs.references else 0
    if needs.references > references:
        return (
            f"needs {needs.references} reference models, the suite grants {references} for "
            f"{attack.label} (defender.references)"
        )
    if needs.base_weights and not granted.base_weights:
        return "needs the base weights, which the suite withholds (defender.base_weights)"
    if needs.training_data and not granted.training_data:
        return "needs the training rows, which the suite withholds (defender.training_data)"
    return ""


def _lacking_rows(suite: Suite, defense: ResolvedDefense) -> str:
    granted, needed = suite.clean_rows, defense.needs.clean_rows
    setting = "defender.clean_rows" if granted == suite.defender.clean_rows else "limit"
    if needed > granted:
        return f"needs {needed} clean rows, the suite grants {granted} ({setting})"
    trials = [part for part in defense.parts if part.trials]
    # Some rows have to choose, also among settings of who is shown none.
    tuned = max(1, needs_of(trials).clean_rows) if trials else 0
    if tuned > granted // 2:
        return (
            f"needs {tuned} clean rows; tuning tries its settings on half of the {granted} that "
            f"the suite grants ({setting}, defender.tuning)"
        )
    return ""
