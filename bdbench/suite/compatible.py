"""Which cells cannot run, and why."""

from __future__ import annotations

from bdbench.api.needs import Needs
from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite, task_of

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
    return _lacking(resolved, defense.needs, attack)


def _lacking(resolved: ResolvedSuite, needs: Needs, attack: Part) -> str:
    granted = resolved.suite.defender
    if needs.access > granted.access_level:
        return (
            f"needs access to {needs.access.name.lower()}, the suite grants {granted.access} "
            "(defender.access)"
        )
    if needs.clean_rows > granted.clean_rows:
        return (
            f"needs {needs.clean_rows} clean rows, the suite grants {granted.clean_rows} "
            "(defender.clean_rows)"
        )
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
